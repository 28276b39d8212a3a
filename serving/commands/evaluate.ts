import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { type DatasetManifest, readManifest } from "../../datasets/dataset.ts";
import { moment, sinceMoment } from "../../datasets/split.ts";
import { createWorldOf } from "../../datasets/world/world-of.ts";
import { RoostError } from "../../errors.ts";
import type { RetrievalJudge, RetrievalReport } from "../../experiments/retrieval/judge.ts";
import { hasChampion, readChampion } from "../../features/models/champion.ts";
import { TWO_TOWER, towersOf } from "../../features/tower-bundle.ts";
import { evaluationTables } from "../evaluation/evaluation-tables.ts";
import { type FeatureReport, featureReports } from "../evaluation/feature-report.ts";
import { collectRequests, type FunnelReport } from "../evaluation/funnel.ts";
import { type HeadReport, headReports } from "../evaluation/head-report.ts";
import { type HeldOut, type HeldOutRange, walkHeldOut } from "../evaluation/held-out.ts";
import { MomentRetrieval, type TowerSessions } from "../evaluation/moment-retrieval.ts";
import { plotsPage } from "../evaluation/plots.ts";
import { predictHeads } from "../evaluation/predict-rows.ts";
import { createPredictor, type Predictor } from "../evaluation/predictor.ts";
import { type RankArms, rankArms } from "../evaluation/rank-arms.ts";
import { type SliceReport, sliceReports } from "../evaluation/slices.ts";
import { TowerRecallJudge, type TowerRecallReport } from "../evaluation/tower-recall.ts";
import { TowerSession } from "../inference/tower-session.ts";
import { loadPreset } from "../weights/presets.ts";
import { drift, driftTables } from "./evaluate-drift.ts";

/** There are dozens of parts, and their intervals are wide: fewer resamples place their ends well enough. */
const SLICE_ROUNDS = 60;

const MODELS = ["heavy", "light", "past_rates"] as const;

export interface Evaluation {
  readonly data: string;
  readonly from: string;
  readonly to: string;
  readonly rows: number;
  readonly users: number;
  readonly models: Readonly<Record<string, string>>;
  readonly heads: readonly HeadReport[];
  /** The main model on parts of the rows; empty with --no-slices. */
  readonly slices: readonly SliceReport[];
  readonly retrieval: RetrievalReport | null;
  readonly features: readonly FeatureReport[];
  readonly funnel: FunnelReport | null;
  /** Recall of the oracle's best by the towers; null without towers or truth. */
  readonly two_tower: (TowerRecallReport & { readonly version: string }) | null;
  readonly seconds: number;
}

interface EvaluateFlags {
  data: string;
  models?: string;
  from?: string;
  until?: string;
  requests: number;
  retrievals: number;
  towers: boolean;
  windowHours: number;
  rounds: number;
  seed: number;
  features: boolean;
  drift?: boolean;
  since?: string;
  plots?: string;
  slices: boolean;
  baselines?: boolean;
  json?: boolean;
}

/** @param judgeRetrieval what `--baselines` runs; handed in, since models are made in `training/` */
export function evaluateCommand(judgeRetrieval?: RetrievalJudge): Command {
  return new Command("evaluate")
    .description("judge models and rankings on held-out data")
    .requiredOption("--data <dir>", "directory that roost simulate or roost import wrote")
    .option(
      "--models <dir>",
      "where the models are, judged by their champions; <data>/models when not given",
    )
    .option("--from <date>", "first day judged, or a moment; what is held out when not given")
    .option("--until <date>", "last day (its end) judged, or a moment")
    .option("--requests <n>", "simulated requests for the gain shares (worlds only)", whole, 1200)
    .option("--retrievals <n>", "simulated requests for retrieval (worlds only)", whole, 240)
    .option("--no-towers", "rank without retrieved candidates, and leave out the towers' recall")
    .option("--window-hours <h>", "oldest posts that are to be retrieved", whole, 48)
    .option("--rounds <n>", "bootstrap resamples of each interval", whole, 200)
    .option("--seed <n>", "seed of resampling and permutation", whole, 1)
    .option("--no-features", "leave out the report per feature")
    .option("--plots <file>", "write calibration and lift plots as one HTML page")
    .option("--drift", "with --since: compare inputs, scores and outcomes with the champion's own")
    .option("--since <date>", "first day that is looked at for drift, or a moment")
    .option("--no-slices", "leave out the report per day, surface, media and kind of user")
    .option(
      "--baselines",
      "recall of clicked unseen posts by simple recommenders, made on the spot",
    )
    .option("--json", "print the report as JSON")
    .action(async (flags: EvaluateFlags) => {
      if (flags.drift || flags.since !== undefined) {
        await judgeDrift(flags);
        return;
      }
      const startedAt = performance.now();
      const report = await evaluate(flags, judgeRetrieval);
      const whole = { ...report, seconds: (performance.now() - startedAt) / 1000 };
      if (flags.plots !== undefined) await writePlots(flags.plots, whole);
      process.stdout.write(
        flags.json ? `${JSON.stringify(whole, null, 2)}\n` : evaluationTables(whole),
      );
    });
}

async function writePlots(file: string, report: Evaluation): Promise<void> {
  try {
    await writeFile(file, plotsPage(report));
  } catch (error) {
    throw new RoostError("BAD_ARGUMENT", `--plots: ${(error as Error).message}`, error);
  }
}

async function judgeDrift(flags: EvaluateFlags): Promise<void> {
  if (!flags.drift || flags.since === undefined)
    throw new RoostError("BAD_ARGUMENT", "--drift and --since belong together");
  const { utc_offset_hours } = readManifest(flags.data);
  const models = await openModels(flags.models ?? join(flags.data, "models"));
  try {
    const { until, seed, rounds } = flags;
    const report = await drift(
      {
        data: flags.data,
        sinceMs: sinceMoment(flags.since, utc_offset_hours),
        ...(until === undefined ? {} : { untilMs: moment(until, "end", utc_offset_hours) }),
        seed,
        rounds,
      },
      Object.values(models)[0] as Predictor,
    );
    process.stdout.write(flags.json ? `${JSON.stringify(report, null, 2)}\n` : driftTables(report));
  } finally {
    for (const predictor of Object.values(models)) await predictor.close();
  }
}

async function evaluate(
  flags: EvaluateFlags,
  judgeRetrieval: RetrievalJudge | undefined,
): Promise<Omit<Evaluation, "seconds">> {
  const manifest = readManifest(flags.data);
  const range = rangeOf(manifest, flags);
  const models = await openModels(flags.models ?? join(flags.data, "models"));
  try {
    const judged = await judge(flags, manifest, range, models);
    const { data, seed, rounds } = flags;
    const retrieval =
      flags.baselines && judgeRetrieval
        ? await judgeRetrieval({ data, ...range, seed, rounds })
        : null;
    return { ...judged, retrieval };
  } finally {
    for (const predictor of Object.values(models)) await predictor.close();
  }
}

async function judge(
  flags: EvaluateFlags,
  manifest: DatasetManifest,
  range: HeldOutRange,
  models: Models,
): Promise<Omit<Evaluation, "seconds" | "retrieval">> {
  const main = models.heavy ?? models.light;
  if (main === undefined)
    throw new RoostError("BAD_BUNDLE", "there is no light or heavy bundle to judge");
  const world = createWorldOf(manifest);
  const { rows, truth, funnel, two_tower, surfaces } = await walk(
    flags,
    manifest,
    range,
    models,
    world,
  );
  if (rows.n === 0)
    throw new RoostError("BAD_ARGUMENT", "there is no impression between --from and --until");
  const predictions = new Map<string, Float32Array>();
  for (const [name, predictor] of Object.entries(models))
    predictions.set(name, await predictHeads(predictor, rows));
  if (truth !== undefined) predictions.set("oracle", truth);
  const heads = headReports(rows, predictions, {
    seed: flags.seed,
    rounds: flags.rounds,
    main: models.heavy ? "heavy" : "light",
    trainingPositives: main.bundle.manifest.data.positives,
  });
  const slices = flags.slices
    ? sliceReports(rows, predictions.get(models.heavy ? "heavy" : "light") as Float32Array, {
        seed: flags.seed,
        rounds: Math.min(flags.rounds, SLICE_ROUNDS),
        utcOffsetHours: manifest.utc_offset_hours,
        surfaces,
      })
    : [];
  const features = flags.features ? await featureReports(rows, main, flags.seed, () => {}) : [];
  return {
    data: `${manifest.source} ${JSON.stringify(manifest.made_with)}`,
    from: new Date(range.fromMs).toISOString(),
    to: new Date(range.toMs).toISOString(),
    rows: rows.n,
    users: new Set(rows.userIds).size,
    models: Object.fromEntries(
      Object.entries(models).map(([name, { bundle }]) => [name, bundle.manifest.version]),
    ),
    heads,
    slices,
    features,
    funnel,
    two_tower,
  };
}

interface Walk extends HeldOut {
  readonly funnel: FunnelReport | null;
  readonly two_tower: Evaluation["two_tower"];
  /** The surface of every row. */
  readonly surfaces: readonly string[];
}

/** Walks the data set once: rows of the range, their truth, and the gain shares of requests in it. */
async function walk(
  flags: EvaluateFlags,
  manifest: DatasetManifest,
  range: HeldOutRange,
  { light, heavy }: Models,
  world: ReturnType<typeof createWorldOf>,
): Promise<Walk> {
  let towers: Awaited<ReturnType<typeof openTowers>>;
  let arms: RankArms | undefined;
  let judge: TowerRecallJudge | undefined;
  const towerReport = async (): Promise<Evaluation["two_tower"]> => {
    const report = await judge?.report(flags);
    return report && towers ? { version: towers.version, ...report } : null;
  };
  try {
    if (world !== undefined && flags.towers)
      towers = await openTowers(flags.models ?? join(flags.data, "models"));
    if (world !== undefined && flags.requests > 0 && light && heavy)
      arms = await rankArms(
        world,
        { light: light.bundle, heavy: heavy.bundle },
        await loadPreset("world"),
        towers && new MomentRetrieval(towers),
      );
    if (world !== undefined && towers !== undefined && flags.retrievals > 0)
      judge = new TowerRecallJudge(world, towers.user, towers.post, {
        requests: flags.retrievals,
        windowHours: flags.windowHours,
        ...range,
      });
    const funnel = collectRequests(arms, flags.requests);
    const surfaces: string[] = [];
    const heldOut = await walkHeldOut(
      flags.data,
      manifest,
      range,
      world,
      async (event, moment) => {
        surfaces.push(event.surface ?? "none");
        await funnel.onImpression(event, moment);
        await judge?.request(event, moment);
      },
      () => {},
      (event) => judge?.observe(event),
    );
    return {
      ...heldOut,
      funnel: funnel.report({ seed: flags.seed, rounds: flags.rounds }),
      two_tower: await towerReport(),
      surfaces,
    };
  } finally {
    await towers?.user.close();
    await towers?.post.close();
    // Else its worker threads would keep a command alive that has failed.
    await arms?.close();
  }
}

/** Both towers, where there is a champion of them. */
async function openTowers(
  dir: string,
): Promise<(TowerSessions & { readonly version: string }) | undefined> {
  const stageDir = join(dir, TWO_TOWER);
  if (!(await hasChampion(stageDir))) return undefined;
  const bundle = await readChampion(stageDir);
  const { user, post } = towersOf(bundle);
  const options = { threadsPerRun: 2 };
  const opened = await TowerSession.start(user, options);
  try {
    return {
      version: bundle.manifest.version,
      user: opened,
      post: await TowerSession.start(post, options),
    };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

type Models = Partial<Record<(typeof MODELS)[number], Predictor>>;

async function openModels(dir: string): Promise<Models> {
  const models: Models = {};
  for (const name of MODELS) {
    const stageDir = join(dir, name);
    if (!(await hasChampion(stageDir))) continue;
    models[name] = await createPredictor(await readChampion(stageDir), 2);
  }
  if (Object.keys(models).length === 0)
    throw new RoostError("BAD_BUNDLE", `${dir} holds none of ${MODELS.join(", ")}`);
  return models;
}

function rangeOf(manifest: DatasetManifest, { from, until }: EvaluateFlags): HeldOutRange {
  const { held_out_from_ms, to_ms, utc_offset_hours } = manifest;
  const fromMs = from === undefined ? held_out_from_ms : moment(from, "start", utc_offset_hours);
  if (fromMs === undefined)
    throw new RoostError(
      "BAD_ARGUMENT",
      "this data set holds nothing out: say --from which day to judge",
    );
  const toMs = until === undefined ? to_ms + 1 : moment(until, "end", utc_offset_hours);
  if (!(fromMs < toMs)) throw new RoostError("BAD_ARGUMENT", "--from must be before --until");
  return { fromMs, toMs };
}

function whole(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0)
    throw new InvalidArgumentError("must be a whole number ≥ 0");
  return value;
}
