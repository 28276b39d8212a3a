import { random } from "../../datasets/random.ts";
import { RoostError } from "../../errors.ts";
import { chooseEngine } from "../engines/choose-engine.ts";
import { ops } from "../graph/ops.ts";
import type { Fed } from "../graph/run-tfjs.ts";
import { input, scalar } from "../graph/value.ts";
import { ParameterSet } from "../models/parameter-set.ts";
import { ADAM_DEFAULTS, adamMoments, adamStep } from "../optimisers/adam.ts";
import { learningRate } from "../optimisers/learning-rate.ts";
import { shuffledOrder } from "./batches.ts";

/** Who acted on what, by viewer: row u holds entries `starts[u] … starts[u + 1]`, weights above 0. */
export interface ActedOn {
  readonly viewers: number;
  readonly posts: number;
  readonly starts: Int32Array;
  readonly post: Int32Array;
  readonly weight: Float64Array;
}

export interface HistoryTowerOptions {
  readonly dimension: number;
  readonly batchSize: number;
  readonly steps: number;
  /** Share of a history that the viewer's side sees; the rest is what it has to find. */
  readonly seenShare: number;
  readonly learningRate: number;
  readonly seed: number;
  readonly threads: number;
}

/** A viewer's score of a post is pooled(history) · `posts` row + `bias`: a product of two vectors, the last of them (1, bias). */
export interface HistoryTowers {
  readonly dimension: number;
  /** [posts, dimension]: what a post in a history adds to the viewer's vector. */
  readonly history: Float32Array;
  /** [posts, dimension]: what a post is found by. */
  readonly posts: Float32Array;
  /** [posts]. */
  readonly bias: Float32Array;
}

const FIRST_LENGTH = 0.1;
const RAMP_STEPS = 20;
const RATE_FLOOR = 0.05;

/**
 * Two towers that know a viewer by the whole history alone, so that new viewers are served at once: it is pooled, with
 * weights of squares summing to 1, into a vector that has to find what was held back of it, by a softmax over all posts.
 * What a viewer holds back counts together the square root of its weight.
 * Source: Liang, Krishnan, Hoffman, Jebara (2018), "Variational autoencoders for collaborative filtering", §2.1–2.2 and
 * the denoising variant of §4.3, linear; the pooled history as in Covington, Adams, Sargin (2016), §3.2.
 * @throws BAD_DATASET when fewer viewers than one batch acted twice
 * @throws BAD_ARGUMENT for a loss that is not finite
 */
export async function trainHistoryTowers(
  acted: ActedOn,
  options: HistoryTowerOptions,
): Promise<HistoryTowers> {
  const { dimension: d, steps, seed } = options;
  const { posts: n, starts, post, weight } = acted;
  const root = Float32Array.from(weight, Math.sqrt);
  const viewers: number[] = [];
  for (let u = 0; u < acted.viewers; u++)
    if ((starts[u + 1] as number) - (starts[u] as number) >= 2) viewers.push(u);
  const b = Math.min(options.batchSize, viewers.length);
  if (b < 8)
    throw new RoostError("BAD_DATASET", `${b} viewers acted twice: too few to train towers on`);

  const draws = random(seed, "history towers");
  const parameters = new ParameterSet();
  const near0 = (data: Float32Array): void => {
    for (let i = 0; i < data.length; i++) data[i] = (FIRST_LENGTH / Math.sqrt(d)) * draws.normal();
  };
  const history = new Float32Array(n * d);
  near0(history);
  const table = parameters.add("posts", [n, d], near0);
  const total = new Float32Array(n);
  for (let e = 0; e < post.length; e++) total[post[e] as number]! += root[e] as number;
  // The bias begins where a softmax without any history would end.
  const bias = parameters.add("bias", [1, n], (data) => data.set(total.map(Math.log1p)));
  const pooled = input("pooled", [b, d]);
  const logits = ops.add(ops.matmul(pooled, table, { transposeB: true }), bias); // [b, posts]
  const found = ops.mul(ops.logSoftmax(logits), input("wanted", [b, n]));
  const loss = ops.mul(ops.neg(ops.reduceSum(found)), scalar(1 / b));
  const engine = await chooseEngine("onnx", options.threads);
  const step = await engine.trainingStep(loss, [table, bias, pooled]);

  const pooledData = new Float32Array(b * d);
  const wanted = new Float32Array(b * n);
  const feeds: Record<string, Fed> = {
    pooled: { data: pooledData, shape: [b, d] },
    wanted: { data: wanted, shape: [b, n] },
  };
  const trained = [
    ...parameters.list.map(({ name, shape }) => {
      const data = parameters.weights.get(name) as Float32Array;
      feeds[name] = { data, shape };
      return { data, moments: adamMoments(data.length) };
    }),
    { data: history, moments: adamMoments(history.length) },
  ];
  const historyGradient = new Float32Array(n * d);
  const schedule = {
    peak: options.learningRate,
    rampSteps: Math.min(RAMP_STEPS, steps),
    decaySteps: steps,
    floor: RATE_FLOOR,
  };
  const perPass = Math.floor(viewers.length / b);
  let order = new Int32Array(0);
  /** Entries that a batch's viewers see, and where each viewer's begin. */
  const seen: number[] = [];
  const seenFrom = new Int32Array(b + 1);
  const scale = new Float32Array(b);
  try {
    for (let taken = 0; taken < steps; taken++) {
      if (taken % perPass === 0)
        order = Int32Array.from(shuffledOrder(viewers.length, seed, taken / perPass));
      const lots = random(seed, "held back", taken);
      wanted.fill(0);
      seen.length = 0;
      for (let i = 0; i < b; i++) {
        const u = viewers[order[(taken % perPass) * b + i] as number] as number;
        let square = 0;
        let held = 0;
        seenFrom[i] = seen.length;
        for (let e = starts[u] as number; e < (starts[u + 1] as number); e++) {
          const w = root[e] as number;
          if (lots.next() < options.seenShare) {
            seen.push(e);
            square += w * w;
          } else {
            held += w;
            wanted[i * n + (post[e] as number)] = w;
          }
        }
        scale[i] = square > 0 ? 1 / Math.sqrt(square) : 0;
        const share = held > 0 ? 1 / Math.sqrt(held) : 0;
        for (let e = starts[u] as number; e < (starts[u + 1] as number); e++)
          wanted[i * n + (post[e] as number)]! *= share;
      }
      seenFrom[b] = seen.length;
      const each = (add: (from: number, to: number, weight: number) => void): void => {
        for (let i = 0; i < b; i++)
          for (let s = seenFrom[i] as number; s < (seenFrom[i + 1] as number); s++) {
            const e = seen[s] as number;
            add((post[e] as number) * d, i * d, (root[e] as number) * (scale[i] as number));
          }
      };
      pooledData.fill(0);
      each((from, to, w) => {
        for (let j = 0; j < d; j++) pooledData[to + j]! += w * (history[from + j] as number);
      });
      const { loss: value, gradients } = await step.run(feeds);
      if (!Number.isFinite(value))
        throw new RoostError(
          "BAD_ARGUMENT",
          `training diverged: the loss of step ${taken} is ${value}`,
        );
      const ofPooled = gradients[2] as Float32Array;
      historyGradient.fill(0);
      each((from, to, w) => {
        for (let j = 0; j < d; j++) historyGradient[from + j]! += w * (ofPooled[to + j] as number);
      });
      const rate = learningRate(schedule, taken + 1);
      [gradients[0] as Float32Array, gradients[1] as Float32Array, historyGradient].forEach(
        (gradient, p) => {
          const { data, moments } = trained[p] as (typeof trained)[number];
          adamStep(data, gradient, moments, taken + 1, rate, ADAM_DEFAULTS);
        },
      );
    }
  } finally {
    await step.release();
  }
  const of = (name: string): Float32Array => parameters.weights.get(name) as Float32Array;
  return { dimension: d, history, posts: of("posts"), bias: of("bias") };
}
