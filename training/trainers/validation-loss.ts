import type { TrainingRows } from "../../features/rows.ts";
import type { ForwardPass } from "../engines/engine.ts";
import type { Fed } from "../graph/run-tfjs.ts";
import type { IdEmbeddings } from "../models/id-embeddings.ts";
import { AMOUNT_CAP, AMOUNT_UNIT, type HeadKind } from "../models/multi-head-loss.ts";
import { copyFeatures, isWhole } from "./row-columns.ts";

/** Rows scored at once: large enough that the matrix products dominate, small enough to stay in cache. */
const CHUNK = 2048;

/** Every `stride`-th row so that at most `limit` remain: an even sample over time. */
export function evenSample(n: number, limit: number): Int32Array {
  const stride = Math.max(1, Math.ceil(n / limit));
  return Int32Array.from({ length: Math.ceil(n / stride) }, (_, i) => i * stride);
}

/**
 * Raw outputs [picked.length, heads] of a model under the weights in `parameters` for the picked rows.
 * `forward` has the one output; `columns` are the features it reads.
 */
export async function rawOutputs(
  forward: ForwardPass,
  parameters: Readonly<Record<string, Fed>>,
  rows: TrainingRows,
  picked: Int32Array,
  columns: readonly number[],
  heads: number,
  embeddings?: IdEmbeddings,
): Promise<Float32Array> {
  const out = new Float32Array(picked.length * heads);
  const whole = isWhole(rows, columns);
  const ids = rows.idNames.length;
  for (let start = 0; start < picked.length; start += CHUNK) {
    const size = Math.min(CHUNK, picked.length - start);
    const features = new Float32Array(size * columns.length);
    const idRows = new Int32Array(size * (embeddings?.columns ?? 0));
    for (let i = 0; i < size; i++) {
      const row = picked[start + i] as number;
      copyFeatures(rows, row, columns, whole, features, i * columns.length);
      embeddings?.rows(rows.ids, row * ids, idRows, i * ids);
    }
    const feeds: Record<string, Fed> = {
      ...parameters,
      features: { data: features, shape: [size, columns.length] },
    };
    if (embeddings) {
      const embedded = new Float32Array(size * embeddings.outputWidth);
      embeddings.gather(idRows, embedded);
      feeds.embedded = { data: embedded, shape: [size, embeddings.outputWidth] };
    }
    const [raw] = await forward.run(feeds);
    out.set(raw as Float32Array, start * heads);
  }
  return out;
}

/** How well raw outputs fit one head's labels. */
export interface HeadLoss {
  readonly positives: number;
  /** Mean loss ÷ that of the best constant: below 1 is better than knowing only the base rate. NaN without positives. */
  readonly normalised: number;
}

/**
 * Loss of each head on the picked rows, divided by the loss of the head's mean as a constant prediction: normalised
 * entropy for binary heads, the share of Poisson deviance left for continuous ones.
 * Source: He et al. (2014), "Practical lessons from predicting clicks on ads at Facebook", §3.
 */
export function headLosses(
  raw: Float32Array,
  rows: TrainingRows,
  picked: Int32Array,
  kinds: readonly HeadKind[],
): HeadLoss[] {
  const heads = kinds.length;
  return kinds.map((kind, h) => {
    let [weights, sum, loss, positives, ownEntropy] = [0, 0, 0, 0, 0];
    for (let i = 0; i < picked.length; i++) {
      const row = picked[i] as number;
      const label = rows.labels[row * heads + h] as number;
      if (Number.isNaN(label)) continue;
      const weight = rows.weight[row] as number;
      const z = raw[i * heads + h] as number;
      if (label > 0) positives++;
      weights += weight;
      if (kind === "binary") {
        sum += weight * label;
        loss += weight * (Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z))) - label * z);
      } else {
        const y = Math.min(label, AMOUNT_CAP) / AMOUNT_UNIT;
        const bounded = Math.min(Math.max(z, -12), Math.log(AMOUNT_CAP / AMOUNT_UNIT));
        sum += weight * y;
        loss += weight * (Math.exp(bounded) - y * bounded);
        if (y > 0) ownEntropy += weight * (y * Math.log(y) - y);
      }
    }
    const mean = sum / weights;
    if (positives === 0) return { positives, normalised: Number.NaN };
    if (kind === "binary") {
      const entropy = -(mean * Math.log(mean) + (1 - mean) * Math.log(1 - mean));
      return { positives, normalised: loss / weights / entropy };
    }
    const constantLoss = weights * (mean - mean * Math.log(mean));
    return { positives, normalised: (loss + ownEntropy) / (constantLoss + ownEntropy) };
  });
}

/** Positives from which a head counts fully towards early stopping; below, its loss is mostly noise. */
const FULL_VOICE = 300;

/**
 * One number to stop early by: the mean of the heads' normalised losses, heads with few positives counting less.
 * NaN when no head has a positive, or when the model's outputs are NaN.
 */
export function stoppingLoss(losses: readonly HeadLoss[]): number {
  let [sum, total] = [0, 0];
  for (const { positives, normalised } of losses) {
    if (positives === 0) continue;
    const voice = Math.min(1, positives / FULL_VOICE);
    sum += voice * normalised;
    total += voice;
  }
  return sum / total;
}
