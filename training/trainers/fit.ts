import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import { RoostError } from "../../errors.ts";
import type { TrainingRows } from "../../features/rows.ts";
import type { Engine } from "../engines/engine.ts";
import { learningRate } from "../optimisers/learning-rate.ts";
import { shuffledOrder } from "./batches.ts";
import { readCheckpoint, writeCheckpoint } from "./checkpoint.ts";
import type { FitOptions } from "./fit-options.ts";
import type { RankerNetwork } from "./ranker-network.ts";
import { featureColumns } from "./row-columns.ts";
import {
  copyTensors,
  optimiserTensors,
  restoreTensors,
  type Tensors,
  weightTensors,
} from "./snapshot.ts";
import { NetworkTrainer } from "./train-step.ts";
import {
  evenSample,
  type HeadLoss,
  headLosses,
  rawOutputs,
  stoppingLoss,
} from "./validation-loss.ts";

/** Where training stands, told after every evaluation. */
export interface FitProgress {
  readonly step: number;
  readonly steps: number;
  /** Passes over the training rows so far. */
  readonly passes: number;
  /** Mean training loss since the last report; NaN before the first step. */
  readonly trainingLoss: number;
  /** The number that early stopping goes by; lower is better, 1 = no better than base rates. */
  readonly validationLoss: number;
  readonly bestValidationLoss: number;
  readonly heads: readonly HeadLoss[];
}

export interface FitRequest {
  readonly network: RankerNetwork;
  readonly engine: Engine;
  readonly train: TrainingRows;
  /** Rows later than all of `train`. */
  readonly validation: TrainingRows;
  /** Loss weight per head; 0 masks a head. */
  readonly headWeights: Float32Array;
  /** As the network's loss has them; see `NetworkTrainerRequest`. */
  readonly negatives?: Float32Array | undefined;
  readonly seed: number;
  readonly options: FitOptions;
  readonly onProgress?: ((progress: FitProgress) => void) | undefined;
  /** Stops after the running step: a checkpoint is written, then its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
  /** File that an interrupted run continues from; deleted when training ends. */
  readonly checkpoint?: string | undefined;
  /** The version whose weights the network has; they count as a candidate for the best. Absent: fresh weights. */
  readonly startsFrom?: string | undefined;
}

export interface FitResult {
  /** Steps taken. */
  readonly steps: number;
  /** Step whose weights the network now has. */
  readonly bestStep: number;
  readonly bestPasses: number;
  readonly bestValidationLoss: number;
  readonly history: readonly { readonly step: number; readonly validationLoss: number }[];
}

/** What decides how training goes on, besides tensors. */
interface LoopState {
  step: number;
  bestStep: number;
  bestLoss: number;
  lossSum: number;
  lossSteps: number;
  history: { step: number; validationLoss: number }[];
}

/**
 * Trains `network` in place by minibatch Adam (row-wise AdaGrad on the id table) and leaves it with the weights of the
 * best validation loss. The same arguments give the same weights to the bit, interrupted or not.
 * @throws BAD_ARGUMENT for a checkpoint of another run or a loss that is not finite; `signal.reason` when cancelled
 */
export async function fitNetwork(request: FitRequest): Promise<FitResult> {
  const { network, engine, train, validation, seed, options, signal } = request;
  const size = Math.min(options.batchSize, train.n);
  const stepsPerPass = Math.max(1, Math.floor(train.n / size));
  const steps = Math.max(1, Math.round(stepsPerPass * options.maxPasses));
  const evaluateEvery = Math.max(1, Math.round(stepsPerPass / options.evaluationsPerPass));
  const schedule = {
    peak: options.learningRate,
    // Short runs must not spend themselves on warming up.
    rampSteps: Math.min(options.rampSteps, Math.ceil(steps / 10)),
    decaySteps: steps,
    floor: options.learningRateFloor,
  };

  let totalRate = 0;
  for (let step = 1; step <= steps; step++) totalRate += learningRate(schedule, step);
  const trainer = await NetworkTrainer.create({
    network,
    engine,
    train,
    headWeights: request.headWeights,
    negatives: request.negatives,
    size,
    seed,
    adam: { ...options, weightDecay: options.totalDecay / totalRate },
  });
  const live = weightTensors(network);
  const optimiser = optimiserTensors(network, trainer.moments);
  let best: Tensors = copyTensors(live);
  const state: LoopState = {
    step: 0,
    bestStep: 0,
    bestLoss: Number.POSITIVE_INFINITY,
    lossSum: 0,
    lossSteps: 0,
    history: [],
  };

  const run = request.checkpoint === undefined ? "" : runKey(request);
  if (request.checkpoint !== undefined) {
    const saved = await readCheckpoint(request.checkpoint, run);
    if (saved) {
      restoreTensors(live, saved.tensors);
      restoreTensors(optimiser, saved.tensors);
      const kept = (name: string): Float32Array => saved.tensors.get(`best/${name}`)!;
      best = new Map([...live.keys()].map((name) => [name, kept(name)]));
      Object.assign(state, saved.state);
      // JSON has no infinity: before the first evaluation the best loss is stored as null.
      state.bestLoss ??= Number.POSITIVE_INFINITY;
    }
  }
  const save = async (): Promise<void> => {
    if (request.checkpoint === undefined) return;
    const tensors: Tensors = new Map([...live, ...optimiser]);
    for (const [name, data] of best) tensors.set(`best/${name}`, data);
    await writeCheckpoint(request.checkpoint, { run, state: { ...state }, tensors });
  };

  const forward = await engine.forward([network.raw]);
  const picked = evenSample(validation.n, options.evaluationRows);
  const validationColumns = featureColumns(validation, network.featureNames);
  const evaluate = async (): Promise<void> => {
    const raw = await rawOutputs(
      forward,
      trainer.parameters,
      validation,
      picked,
      validationColumns,
      network.kinds.length,
      network.embeddings,
    );
    const heads = headLosses(raw, validation, picked, network.kinds);
    const validationLoss = stoppingLoss(heads);
    state.history.push({ step: state.step, validationLoss });
    // Without positives to validate on, the last weights are as good a choice as any.
    const informed = heads.some(({ positives }) => positives > 0);
    if (validationLoss < state.bestLoss || !informed) {
      state.bestLoss = validationLoss;
      state.bestStep = state.step;
      best = copyTensors(live);
    }
    request.onProgress?.({
      step: state.step,
      steps,
      passes: state.step / stepsPerPass,
      trainingLoss: state.lossSum / state.lossSteps,
      validationLoss,
      bestValidationLoss: state.bestLoss,
      heads,
    });
    state.lossSum = 0;
    state.lossSteps = 0;
  };

  try {
    if (request.startsFrom !== undefined && state.history.length === 0) await evaluate();
    let order: Int32Array = new Int32Array(0);
    let orderPass = -1;
    const patience = options.patiencePasses * stepsPerPass;
    while (state.step < steps && state.step - state.bestStep < patience + evaluateEvery) {
      if (signal?.aborted) {
        await save();
        signal.throwIfAborted();
      }
      const pass = Math.floor(state.step / stepsPerPass);
      if (pass !== orderPass) {
        order = shuffledOrder(train.n, seed, pass);
        orderPass = pass;
      }
      const rate = learningRate(schedule, state.step + 1);
      const from = (state.step % stepsPerPass) * size;
      const idScale = rate / options.learningRate;
      const loss = await trainer.step(order, from, state.step, rate, idScale);
      if (!Number.isFinite(loss))
        throw new RoostError(
          "BAD_ARGUMENT",
          `training diverged: the loss of step ${state.step} is ${loss}; lower fit.learningRate`,
        );
      state.step++;
      state.lossSum += loss;
      state.lossSteps++;
      if (state.step % evaluateEvery === 0 || state.step === steps) {
        await evaluate();
        await save();
      }
    }
  } finally {
    await trainer.release();
    await forward.release();
  }
  restoreTensors(live, best);
  if (request.checkpoint !== undefined) await rm(request.checkpoint, { force: true });
  return {
    steps: state.step,
    bestStep: state.bestStep,
    bestPasses: state.bestStep / stepsPerPass,
    bestValidationLoss: state.bestLoss,
    history: state.history,
  };
}

/** Identifies a run by what decides its outcome. Rows are told apart by size, times, and sampled feature and label sums. */
function runKey({
  network,
  engine,
  train,
  validation,
  headWeights,
  seed,
  options,
  startsFrom,
}: FitRequest): string {
  const hash = createHash("sha256");
  const data = [train, validation].map((rows) => {
    let sum = 0;
    for (let i = 0; i < rows.features.length; i += 97) sum += rows.features[i] || 0;
    for (let i = 0; i < rows.labels.length; i++) sum += rows.labels[i] || 0;
    return [rows.n, rows.timeMs[0], rows.timeMs[rows.n - 1], sum];
  });
  const shapes = network.parameters.values.map(({ shape }) => shape);
  const { featureNames, headNames, idNames, dropout, embeddings } = network;
  const names = { featureNames, headNames, idNames };
  const weights = [...headWeights];
  const ids = embeddings?.options;
  const run = {
    engine: engine.name,
    data,
    weights,
    seed,
    options,
    shapes,
    names,
    dropout,
    ids,
    startsFrom,
  };
  hash.update(JSON.stringify(run));
  return hash.digest("hex");
}
