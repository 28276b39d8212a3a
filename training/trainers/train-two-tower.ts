import { z } from "zod";
import { type Random, random } from "../../datasets/random.ts";
import { RoostError } from "../../errors.ts";
import type { TrainingRows } from "../../features/rows.ts";
import {
  POST_TOWER,
  slotsOf,
  type TowerInputs,
  USER_TOWER,
  widthOf,
} from "../../features/tower-inputs.ts";
import type { TowerRows } from "../../features/tower-rows.ts";
import { chooseEngine } from "../engines/choose-engine.ts";
import { ops } from "../graph/ops.ts";
import type { Fed } from "../graph/run-tfjs.ts";
import { toOnnx } from "../graph/to-onnx.ts";
import { input, parameter, scalar, type Value } from "../graph/value.ts";
import { HashedBags } from "../models/hashed-bags.ts";
import { type InputStatistics, inputStatistics } from "../models/input-transform.ts";
import { ParameterSet } from "../models/parameter-set.ts";
import { listLoss, tower, towerScale, twoTowerLoss } from "../models/two-tower.ts";
import { ADAM_DEFAULTS, adamMoments, adamStep } from "../optimisers/adam.ts";
import { learningRate } from "../optimisers/learning-rate.ts";
import type { TowerLog } from "../tower-log.ts";
import { shuffledOrder } from "./batches.ts";
import { TowerBatch } from "./tower-batch.ts";
import { towerExamples } from "./tower-examples.ts";
import type { TowerLists } from "./tower-lists.ts";
import { TwoTowerOptions, type TwoTowerSettings } from "./two-tower-options.ts";

export interface TrainTwoTowerRequest {
  /** Rows of the whole log and the tower inputs that were noted with them, one for one. */
  readonly rows: TrainingRows;
  readonly log: TowerLog;
  /** Rows [from, to) are trained on. */
  readonly from: number;
  readonly to: number;
  readonly seed: number;
  readonly threads: number;
  readonly options?: TwoTowerOptions;
  /** What a ranker says of posts; without it the towers learn from what was welcomed alone. */
  readonly lists?: TowerLists;
  readonly onProgress?: (progress: { step: number; steps: number; loss: number }) => void;
  readonly signal?: AbortSignal;
}

/** Both towers as inference models: `features` [n, columns] and `ids` int32 [n, 2 · slots] → `outputs` [n, dimension]. */
export interface TrainedTowers {
  readonly user: Uint8Array;
  readonly post: Uint8Array;
  readonly settings: TwoTowerSettings;
  /** Trained scalars of both towers, the table not counted. */
  readonly parameters: number;
  /** Of each tower. */
  readonly denseParameters: { readonly user: number; readonly post: number };
  readonly tableParameters: number;
  readonly steps: number;
  readonly examples: number;
  /** What the cosines are multiplied with: 1 ÷ the learned temperature. */
  readonly scale: number;
  readonly lastLoss: number;
}

/** Rows that input statistics are taken from. */
const STATISTICS_ROWS = 100_000;
const RAMP_STEPS = 50;
const RATE_FLOOR = 0.05;
/** Steps whose mean loss is reported. */
const REPORT_STEPS = 20;

/**
 * Trains both towers on what viewers welcomed, and on what a ranker says where it says something. Runs on the calling thread. Same arguments, same model bytes.
 * @throws BAD_DATASET when fewer impressions were welcomed than one batch has
 * @throws BAD_ARGUMENT for unknown options, an engine that is not installed, or a loss that is not finite
 */
export async function trainTwoTower(request: TrainTwoTowerRequest): Promise<TrainedTowers> {
  const { rows, log, seed } = request;
  const parsed = TwoTowerOptions.safeParse(request.options ?? {});
  if (!parsed.success)
    throw new RoostError("BAD_ARGUMENT", z.prettifyError(parsed.error), parsed.error);
  const settings = parsed.data;
  const examples = towerExamples(rows, log, request.from, request.to, settings, seed);
  const count = examples.welcomed.length;
  const size = Math.min(settings.batchSize, count);
  if (size < 8)
    throw new RoostError(
      "BAD_DATASET",
      `${count} welcomed impressions are too few to train towers on`,
    );
  const stepsPerPass = Math.floor(count / size);
  const steps = Math.max(
    1,
    Math.min(settings.maxSteps, Math.round(stepsPerPass * settings.passes)),
  );

  const { lists } = request;
  const network = towerNetwork(log, size, settings, seed, lists?.places);
  const { parameters, embeddings } = network;
  const engine = await chooseEngine(settings.engine, request.threads);
  const step = await engine.trainingStep(network.loss, [
    ...parameters.values,
    network.userPooled,
    network.postPooled,
  ]);
  const batch = new TowerBatch(size, embeddings, settings, lists);
  const feeds: Record<string, Fed> = { ...batch.feeds };
  const moments = new Map(
    parameters.list.map(({ name, shape }) => {
      const data = parameters.weights.get(name) as Float32Array;
      feeds[name] = { data, shape };
      return [name, adamMoments(data.length)] as const;
    }),
  );
  const schedule = {
    peak: settings.learningRate,
    rampSteps: Math.min(RAMP_STEPS, Math.ceil(steps / 10)),
    decaySteps: steps,
    floor: RATE_FLOOR,
  };
  let totalRate = 0;
  for (let i = 1; i <= steps; i++) totalRate += learningRate(schedule, i);
  const decay = settings.totalDecay / totalRate;
  let sum = 0;
  let lastLoss = Number.NaN;
  try {
    let order: Int32Array = new Int32Array(0);
    for (let taken = 0; taken < steps; taken++) {
      request.signal?.throwIfAborted();
      if (taken % stepsPerPass === 0)
        order = shuffledOrder(count, seed, Math.floor(taken / stepsPerPass));
      batch.fill(log, examples, order, (taken % stepsPerPass) * size, seed, taken);
      const { loss, gradients } = await step.run(feeds);
      if (!Number.isFinite(loss))
        throw new RoostError(
          "BAD_ARGUMENT",
          `training diverged: the loss of step ${taken} is ${loss}; lower learningRate`,
        );
      const rate = learningRate(schedule, taken + 1);
      parameters.list.forEach(({ name, shape }, i) => {
        adamStep(
          parameters.weights.get(name) as Float32Array,
          gradients[i] as Float32Array,
          moments.get(name) as ReturnType<typeof adamMoments>,
          taken + 1,
          rate,
          ADAM_DEFAULTS,
          // Biases and the temperature are not pulled towards 0.
          shape.length > 1 ? decay : 0,
        );
      });
      for (const [side, gradient] of [
        [batch.users, gradients.at(-2)],
        [batch.posts, gradients.at(-1)],
      ] as const) {
        const table = side.gradients(gradient as Float32Array);
        embeddings.optimiser.step(table.rows, table.gradients, rate / settings.learningRate);
      }
      sum += loss;
      if ((taken + 1) % REPORT_STEPS === 0 || taken + 1 === steps) {
        lastLoss = sum / ((taken % REPORT_STEPS) + 1);
        sum = 0;
        request.onProgress?.({ step: taken + 1, steps, loss: lastLoss });
      }
    }
  } finally {
    await step.release();
  }
  const sizeOf = (name: "user" | "post"): number =>
    parameters.list.reduce(
      (sum, parameter) =>
        parameter.name.startsWith(`${name}_`)
          ? sum + (parameters.weights.get(parameter.name) as Float32Array).length
          : sum,
      0,
    );
  return {
    ...network.inference(),
    settings,
    parameters: parameters.count,
    denseParameters: { user: sizeOf("user"), post: sizeOf("post") },
    tableParameters: embeddings.table.length,
    steps,
    examples: count,
    scale: Math.exp(parameters.weights.get("log_scale")?.[0] as number),
    lastLoss,
  };
}

/**
 * The graphs of both towers over shared parameters: one for training, two for inference.
 * @param places of the lists of a ranker; 0 = there are none
 */
export function towerNetwork(
  log: Pick<TowerLog, "users" | "lots">,
  size: number,
  settings: TwoTowerSettings,
  seed: number,
  places = 0,
) {
  const { buckets, embeddingWidth: width, tableRate, tableDecay } = settings;
  const draws = random(seed, "towers");
  const embeddings = new HashedBags(
    { buckets, width, learningRate: tableRate, l2: tableDecay },
    draws,
  );
  const parameters = new ParameterSet();
  const statistics = {
    user: statisticsOf(log.users),
    // Posts by lot are nearer to what a tower meets when it serves; shown ones are a choice of the best.
    post: statisticsOf(log.lots),
  };
  const build = (name: "user" | "post", features: Value, pooled: Value): Value =>
    tower(name, features, statistics[name], pooled, settings, parameters, draws);
  const sides = { user: USER_TOWER, post: POST_TOWER } as const;
  const training = (name: "user" | "post", rows: number) => {
    const { bags } = sides[name];
    const pooled = input(`${name}_pooled`, [rows, bags.length * width]);
    return {
      pooled,
      vectors: build(name, input(`${name}_features`, [rows, widthOf(sides[name])]), pooled),
    };
  };
  const user = training("user", size);
  const post = training("post", (3 + places) * size);
  const scale = towerScale(parameters);
  const candidates = ops.slice(post.vectors, 0, 0, 3 * size);
  const welcome = twoTowerLoss(
    user.vectors,
    candidates,
    size,
    3 * size,
    settings.pairWeight,
    scale,
  );
  let loss = welcome;
  if (places > 0) {
    const listed = ops.slice(post.vectors, 0, 3 * size, places * size);
    loss = ops.add(
      ops.mul(welcome, scalar(settings.welcomeWeight)),
      ops.mul(listLoss(user.vectors, listed, size, places, scale), scalar(settings.listWeight)),
    );
  }
  agreeInTopics(parameters, settings, draws);
  const model = (name: "user" | "post"): Uint8Array => {
    const inputs: TowerInputs = sides[name];
    const [d, slots] = [widthOf(inputs), slotsOf(inputs)];
    const all = input("features", ["n", d + slots]);
    const table = parameter("table", embeddings.shape);
    const pooled = embeddings.pooled(inputs, table, ops.slice(all, 1, d, slots));
    const outputs = build(name, ops.slice(all, 1, 0, d), pooled);
    const weights = new Map([...parameters.weights, ["table", embeddings.table]]);
    return toOnnx({ outputs: { outputs }, weights });
  };
  return {
    parameters,
    embeddings,
    loss,
    userPooled: user.pooled,
    postPooled: post.pooled,
    inference: () => ({ user: model("user"), post: model("post") }),
  };
}

const TOPIC_BAGS = new Set(["taste", "topics", "author_topics"]);

/**
 * Lets both towers begin with one random map of topic embeddings to vectors, so that a taste and a post of the same topics
 * lie close before anything is learned.
 */
function agreeInTopics(parameters: ParameterSet, settings: TwoTowerSettings, draws: Random): void {
  const { topicGain, embeddingWidth: width, dimension } = settings;
  if (topicGain === 0) return;
  const spread = topicGain / Math.sqrt(dimension);
  const map = Float32Array.from({ length: width * dimension }, () => spread * draws.normal());
  for (const name of ["user", "post"] as const) {
    const wide = parameters.weights.get(`${name}_wide`) as Float32Array;
    const { bags } = name === "user" ? USER_TOWER : POST_TOWER;
    const first = wide.length / dimension - bags.length * width;
    bags.forEach((bag, b) => {
      if (TOPIC_BAGS.has(bag.name)) wide.set(map, (first + b * width) * dimension);
    });
  }
}

function statisticsOf(rows: TowerRows): InputStatistics {
  const columns = Array.from({ length: rows.width }, (_, i) => i);
  const stride = Math.max(1, Math.ceil(rows.n / STATISTICS_ROWS));
  return inputStatistics(rows.features, rows.n, rows.width, columns, stride);
}
