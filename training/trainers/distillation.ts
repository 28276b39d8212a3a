import type { Bundle } from "../../features/bundle.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { AMOUNT_CAP } from "../models/multi-head-loss.ts";
import { bundlePredictions } from "../registry/bundle-predictions.ts";
import type { HeavyOptions } from "./ranker-options.ts";

/** A published model that another learns from. */
export interface Teacher {
  readonly bundle: Bundle;
  /** Weight of its predictions against the labels, 0–1. */
  readonly share: number;
}

/** Half the word for the teacher, half for what happened: a teacher that is wrong is outvoted where labels are many. */
export const TEACHER_SHARE = 0.5;

/**
 * The rows with labels (1 − share)·label + share·prediction, the teacher's predictions being calibrated. Both losses,
 * cross-entropy and Poisson deviance, are linear in the label, so this is the same as weighing a loss against each.
 * Masked labels stay masked, and heads that the teacher lacks or masks keep their labels.
 * Source: Hinton, Vinyals, Dean (2015), "Distilling the knowledge in a neural network", §2, with a temperature of 1.
 * @throws BAD_DATASET when the rows lack a feature that the teacher reads
 */
export async function softLabels(
  rows: TrainingRows,
  { bundle, share }: Teacher,
): Promise<TrainingRows> {
  const predictions = await bundlePredictions(bundle, rows);
  const masked = new Set(bundle.manifest.masked_heads);
  const kinds = new Map(bundle.manifest.heads.map(({ name, kind }) => [name, kind]));
  const labels = Float32Array.from(rows.labels);
  const heads = rows.headNames.length;
  rows.headNames.forEach((name, h) => {
    if (masked.has(name) || !kinds.has(name)) return;
    const cap = kinds.get(name) === "continuous" ? AMOUNT_CAP : 1;
    for (let at = h; at < labels.length; at += heads)
      labels[at] =
        (1 - share) * Math.min(labels[at] as number, cap) + share * (predictions[at] as number);
  });
  return { ...rows, labels };
}

/** A network's layers, each `width` times as wide: ids keep theirs, since they are few. */
export function narrower(options: HeavyOptions, width: number): HeavyOptions {
  const scaled = (units: number): number => Math.max(1, Math.round(units * width));
  return {
    ...options,
    maskHidden: scaled(options.maskHidden),
    blockOutput: scaled(options.blockOutput),
    trunk: options.trunk.map(scaled),
    tower: scaled(options.tower),
  };
}
