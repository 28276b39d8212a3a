import { createHash } from "node:crypto";
import { z } from "zod";
import { RoostError } from "../../errors.ts";
import type { Calibration } from "../../features/bundle.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { chooseEngine } from "../engines/choose-engine.ts";
import { toOnnx } from "../graph/to-onnx.ts";
import { optimiseOnnx } from "../onnx/optimise-onnx.ts";
import { measuredRows } from "../registry/measured-rows.ts";
import { heavyNetwork, logisticNetwork } from "./build-network.ts";
import { calibrateHeads } from "./calibration.ts";
import { softLabels, type Teacher } from "./distillation.ts";
import { type FitProgress, fitNetwork } from "./fit.ts";
import { FitOptions } from "./fit-options.ts";
import { headMetrics } from "./head-metrics.ts";
import { type HeadStatistics, headStatistics } from "./head-statistics.ts";
import { HeavyOptions, LOGISTIC_FIT, RankerOptions } from "./ranker-options.ts";
import { weightTensors } from "./snapshot.ts";
import { type RankerKind, TrainedModel } from "./trained-model.ts";
import { trainingState } from "./training-state.ts";
import {
  checkWarmStart,
  jointHeads,
  restoreWarm,
  type WarmStart,
  warmFit,
  warmHeavyOptions,
} from "./warm-start.ts";

export interface TrainRankerRequest {
  /** `heavy`: parallel MaskNet with ids. `light` and `past_rates`: logistic regression over `featureSubset`. */
  readonly kind: RankerKind;
  readonly train: TrainingRows;
  /** Rows later than all of `train`: they stop training and fit the calibration. */
  readonly validation: TrainingRows;
  /** Features that the model reads, in this order; all by default. */
  readonly featureSubset?: readonly string[];
  readonly seed: number;
  /** Threads of onnxruntime, the calling one included. */
  readonly threads: number;
  readonly options?: RankerOptions;
  /** Bootstrap resamples of the metrics in the bundle; 0 = none are computed. Default 200. */
  readonly metricRounds?: number;
  readonly onProgress?: (progress: FitProgress) => void;
  readonly signal?: AbortSignal;
  /** File that an interrupted run continues from. */
  readonly checkpoint?: string;
  /**
   * Goes on from this model's weights: its features, input constants, towers and architecture are kept, and its weights
   * stay if no step is better on the validation rows. A head without positives in `train` is not trained and keeps its
   * calibration.
   */
  readonly warm?: WarmStart;
  /** Learns from what this model predicts as well as from the labels. */
  readonly teacher?: Teacher;
}

/**
 * Trains, calibrates and measures one ranker. Runs on the calling thread and blocks its event loop step by step.
 * Same arguments, same model bytes.
 * @throws BAD_DATASET for empty rows, unknown features or heads, or validation rows that start before training rows end
 * @throws BAD_ARGUMENT for unknown options, a foreign checkpoint, an engine that is not installed, or a warm start from a
 * model with other features, heads or architecture
 * @throws BAD_BUNDLE when the model to go on from is not what its training state makes
 */
export async function trainRanker(request: TrainRankerRequest): Promise<TrainedModel> {
  const { kind, train, validation, seed, threads, warm, featureSubset } = request;
  checkSplit(train, validation);
  const given = request.options ?? {};
  const options = parse(RankerOptions, given);
  const usual = parse(FitOptions, kind === "heavy" ? {} : LOGISTIC_FIT);
  const fitOptions = parse(FitOptions, {
    ...(warm === undefined ? usual : warmFit(usual, train.n, warm)),
    ...given.fit,
  });
  if (request.teacher && fitOptions.rareNegatives < 1)
    throw new RoostError(
      "BAD_ARGUMENT",
      "a teacher's predictions are no negatives to leave out: rare negatives are for labels alone",
    );
  const seen = headStatistics(train);
  if (warm)
    checkWarmStart(warm, {
      kind,
      train,
      asked: kind === "heavy" ? (given.heavy ?? {}) : {},
      featureSubset,
    });
  const heavyOptions =
    warm && kind === "heavy" ? warmHeavyOptions(warm) : parse(HeavyOptions, given.heavy ?? {});
  const featureNames = warm?.manifest.features ?? featureSubset ?? train.featureNames;
  const negatives = fedNegatives(seen, fitOptions.rareNegatives);
  const base = { train, featureNames, heads: seen, seed, kept: warm?.state.kept, negatives };
  const network = kind === "heavy" ? heavyNetwork(base, heavyOptions) : logisticNetwork(base);
  if (warm) restoreWarm(network, warm);
  const heads = warm ? jointHeads(seen, warm) : seen;
  const engine = await chooseEngine(options.engine, threads);
  const result = await fitNetwork({
    network,
    engine,
    train: request.teacher ? await softLabels(train, request.teacher) : train,
    validation,
    headWeights: headLossWeights(seen, fitOptions.headBalance),
    negatives,
    seed,
    options: fitOptions,
    onProgress: request.onProgress,
    signal: request.signal,
    checkpoint: request.checkpoint,
    startsFrom: warm?.manifest.version,
  });

  const { embeddings } = network;
  const written = toOnnx({
    outputs: { outputs: network.outputs },
    weights: weightTensors(network),
  });
  const uncalibrated = await TrainedModel.load(
    {
      kind,
      onnx: await optimiseOnnx(written),
      featureNames,
      ids: network.idNames.map((name) => ({ name, buckets: embeddings?.options.buckets ?? 2 })),
      heads,
      calibration: heads.map(() => ({ kind: "platt", a: 1, b: 0 })),
      metrics: {},
      fit: result,
      seed,
      parameters: network.parameters.count,
      settings: {
        engine: engine.name,
        // A warm start proves its training state against this: what onnxruntime makes of it may change with its version.
        written_checksum: createHash("sha256").update(written).digest("hex"),
        fit: fitOptions,
        ...(kind === "heavy" && { heavy: heavyOptions }),
        ...(embeddings && { embedding_parameters: embeddings.optimiser.table.length }),
        ...(request.teacher && {
          distilled: {
            from: request.teacher.bundle.manifest.version,
            share: request.teacher.share,
          },
        }),
        validation_rows: validation.n,
        best_passes: result.bestPasses,
        best_validation_loss: finite(result.bestValidationLoss),
        ...(warm && {
          warm_start: {
            from: warm.manifest.version,
            from_ms: train.timeMs[0] as number,
            rows: train.n,
            kept_heads: keptHeads(seen, heads),
          },
        }),
      },
      rows: {
        n: train.n + (warm?.manifest.data.rows ?? 0),
        fromMs: Math.min(
          train.timeMs[0] as number,
          warm?.manifest.data.from_ms ?? Number.POSITIVE_INFINITY,
        ),
        toMs: train.timeMs[train.n - 1] as number,
      },
      validation: measuredRows(validation),
      trainingState: trainingState(network),
    },
    threads,
  );
  const calibration = keepCalibration(
    calibrateHeads(await uncalibrated.outputs(validation), validation, heads),
    headStatistics(validation),
    keptHeads(seen, heads),
    warm,
  );
  const model = uncalibrated.with({ calibration });
  const rounds = request.metricRounds ?? 200;
  if (rounds === 0) return model;
  const predictions = await model.predict(validation);
  return model.with({ metrics: headMetrics(predictions, validation, heads, { seed, rounds }) });
}

/** Heads that were learned before and have nothing to be learned from now. */
const keptHeads = (seen: readonly HeadStatistics[], joint: readonly HeadStatistics[]): string[] =>
  seen.flatMap(({ name, positives }, h) =>
    positives === 0 && (joint[h]?.positives ?? 0) > 0 ? [name] : [],
  );

/** Nothing can be fitted to a head without new positives: it keeps the calibration that it had. */
function keepCalibration(
  fresh: readonly Calibration[],
  validated: readonly HeadStatistics[],
  kept: readonly string[],
  warm: WarmStart | undefined,
): Calibration[] {
  return fresh.map((calibration, h) => {
    const { name, positives } = validated[h] as HeadStatistics;
    const had = warm?.manifest.calibration[h];
    const masked = warm?.manifest.masked_heads.includes(name);
    return had && !masked && (kept.includes(name) || positives === 0) ? had : calibration;
  });
}

/** The entropy, in nats, of a head that happens on 10 % of impressions: the unit of loss weights. */
const COMMON_ENTROPY = 0.325;

/**
 * Loss weight per head: 0 without positives, else (0.325 ÷ entropy of its rate) to the power `balance`; 1 for continuous
 * heads, whose loss is of that size in their unit.
 */
export function headLossWeights(heads: readonly HeadStatistics[], balance: number): Float32Array {
  return Float32Array.from(heads, ({ kind, mean, positives }) => {
    if (positives === 0) return 0;
    if (kind === "continuous") return 1;
    const rate = Math.min(Math.max(mean, 1e-7), 1 - 1e-7);
    const entropy = -(rate * Math.log(rate) + (1 - rate) * Math.log(1 - rate));
    return (COMMON_ENTROPY / entropy) ** balance;
  });
}

/** Binary heads that happen on fewer impressions than this are rare. */
const RARE = 0.01;

/** Share of each head's negatives that is learned from: `share` of rare heads, all of the others. */
export function fedNegatives(heads: readonly HeadStatistics[], share: number): Float32Array {
  return Float32Array.from(heads, ({ kind, mean, positives }) =>
    kind === "binary" && positives > 0 && mean < RARE ? share : 1,
  );
}

function checkSplit(train: TrainingRows, validation: TrainingRows): void {
  if (train.n === 0) throw new RoostError("BAD_DATASET", "there are no training rows");
  if (validation.n === 0) throw new RoostError("BAD_DATASET", "there are no validation rows");
  for (const [name, a, b] of [
    ["heads", train.headNames, validation.headNames],
    ["ids", train.idNames, validation.idNames],
  ] as const)
    if (a.join() !== b.join())
      throw new RoostError("BAD_DATASET", `training and validation rows differ in their ${name}`);
  if ((validation.timeMs[0] as number) < (train.timeMs[train.n - 1] as number))
    throw new RoostError(
      "BAD_DATASET",
      "validation rows start before the training rows end; split by time",
    );
}

function parse<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new RoostError("BAD_ARGUMENT", z.prettifyError(result.error), result.error);
}

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);
