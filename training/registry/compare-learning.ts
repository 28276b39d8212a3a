import { type DatasetManifest, readManifest } from "../../datasets/dataset.ts";
import { RoostError } from "../../errors.ts";
import { sealManifest } from "../../features/bundle.ts";
import { FEATURE_NAMES } from "../../features/registry.ts";
import { rowsBetween } from "../../features/replay.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { datasetRows, usableFeatures } from "../dataset-rows.ts";
import { HEAVY_IDS } from "../feature-sets.ts";
import { rankerFeatures } from "../ranker-features.ts";
import type { RankerOptions } from "../trainers/ranker-options.ts";
import { trainRanker } from "../trainers/train-ranker.ts";
import type { RankerKind, TrainedModel } from "../trainers/trained-model.ts";
import { readState, type TrainingState } from "../trainers/training-state.ts";
import type { WarmStart } from "../trainers/warm-start.ts";
import { type JudgedDay, type LearningReport, learningReport } from "./learning-report.ts";
import { learningSchedule } from "./learning-schedule.ts";

export interface CompareLearningRequest {
  readonly data: string;
  readonly kind: RankerKind;
  /** The frozen model learns what is before; the day after is the first that is judged. */
  readonly sinceMs: number;
  /** End of what is judged; the data's end by default, what is held out included. */
  readonly untilMs?: number;
  readonly seed: number;
  readonly threads: number;
  readonly options?: RankerOptions;
  /** Bootstrap resamples of each interval. */
  readonly rounds: number;
  readonly leastPositives?: number;
  readonly onProgress?: (share: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Trains a frozen model on what is before a day, and for each later day a warm-started and a fully retrained one on what
 * is before it, and judges all three on that day. The models are thrown away; nothing is published.
 * A warm start goes on from the warm start of the day before, as daily `roost train --since` would.
 */
export async function compareLearning(request: CompareLearningRequest): Promise<LearningReport> {
  const { data, sinceMs, seed, rounds, leastPositives } = request;
  const manifest = readManifest(data);
  const toMs = Math.min(request.untilMs ?? Number.POSITIVE_INFINITY, manifest.to_ms + 1);
  const schedule = learningSchedule({ fromMs: manifest.from_ms, toMs }, sinceMs);
  const rows = await datasetRows(data, manifest, {
    features: FEATURE_NAMES,
    ids: HEAVY_IDS,
    toMs,
    heldOut: true,
    onProgress: () => request.signal?.throwIfAborted(),
  });
  const rates = manifest.viewer_rates ?? "running";
  const between = ({ fromMs, toMs }: { fromMs: number; toMs: number }): TrainingRows =>
    rowsBetween(rows, fromMs, toMs);
  const learn = (
    train: TrainingRows,
    validation: TrainingRows,
    warm?: WarmStart,
  ): Promise<TrainedModel> => {
    request.signal?.throwIfAborted();
    return trainRanker({
      kind: request.kind,
      train,
      validation,
      seed,
      threads: request.threads,
      metricRounds: 0,
      ...(warm
        ? { warm }
        : { featureSubset: rankerFeatures(request.kind, usableFeatures(train).usable, rates) }),
      ...(request.options && { options: request.options }),
      ...(request.signal && { signal: request.signal }),
    });
  };

  const frozen = await learn(between(schedule.frozen.train), between(schedule.frozen.validation));
  let warm = frozen;
  const days: JudgedDay[] = [];
  try {
    for (const [i, day] of schedule.days.entries()) {
      const judged = between(day.judged);
      const validation = between(day.validation);
      if (judged.n === 0) continue;
      const before = warm;
      warm = await learn(between(day.fresh), validation, sourceOf(before, manifest));
      if (before !== frozen) await before.close();
      const learned = { fromMs: manifest.from_ms, toMs: day.fresh.toMs };
      const retrained = await learn(between(learned), validation);
      days.push({
        fromMs: day.judged.fromMs,
        rows: judged,
        predictions: {
          frozen: await frozen.predict(judged),
          warm: await warm.predict(judged),
          retrained: await retrained.predict(judged),
        },
      });
      await retrained.close();
      request.onProgress?.((i + 1) / schedule.days.length);
    }
  } finally {
    if (warm !== frozen) await warm.close();
    await frozen.close();
  }
  if (days.length === 0)
    throw new RoostError("BAD_ARGUMENT", "there is no impression to judge a day after --since");
  return learningReport(days, {
    seed,
    rounds,
    ...(leastPositives === undefined ? {} : { leastPositives }),
  });
}

/** A model that was just trained, as if it had been published. */
function sourceOf(model: TrainedModel, { source }: DatasetManifest): WarmStart {
  const manifest = model.manifest({ schemaHash: "unpublished", source });
  return {
    manifest: sealManifest(manifest, model.parts.onnx),
    state: readState(Buffer.from(model.parts.trainingState)) as TrainingState,
  };
}
