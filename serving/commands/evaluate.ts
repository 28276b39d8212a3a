import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { type DatasetManifest, readManifest } from "../../datasets/dataset.ts";
import { moment } from "../../datasets/split.ts";
import { createWorldOf } from "../../datasets/world/world-of.ts";
import { RoostError } from "../../errors.ts";
import type { Interval } from "../../experiments/metrics/bootstrap.ts";
import { type Bundle, readBundle } from "../../features/bundle.ts";
import { evaluationTables } from "../evaluation/evaluation-tables.ts";
import { type FeatureReport, featureReports } from "../evaluation/feature-report.ts";
import { gainRatio, gainShares, type RequestValues } from "../evaluation/gain-share.ts";
import { type HeadReport, headReports } from "../evaluation/head-report.ts";
import { type HeldOut, type HeldOutRange, walkHeldOut } from "../evaluation/held-out.ts";
import { predictHeads } from "../evaluation/predict-rows.ts";
import { createPredictor, type Predictor } from "../evaluation/predictor.ts";
import { type RankArms, rankArms } from "../evaluation/rank-arms.ts";
import { RetrievalJudge, type RetrievalReport } from "../evaluation/retrieval.ts";
import { TowerSession } from "../inference/tower-session.ts";
import { loadPreset } from "../weights/presets.ts";

const MODELS = ["heavy", "light", "past_rates"] as const;

export interface Evaluation {
  readonly data: string;
  readonly from: string;
  readonly to: string;
  readonly rows: number;
  readonly users: number;
  readonly models: Readonly<Record<string, string>>;
  readonly heads: readonly HeadReport[];
  readonly features: readonly FeatureReport[];
  readonly funnel: FunnelReport | null;
  readonly retrieval: RetrievalReport | null;
  readonly seconds: number;
}

export interface FunnelReport {
  readonly requests: number;
  readonly candidates_per_request: number;
  readonly in_network_per_request: number;
  readonly gain_share: Readonly<Record<string, Interval>>;
  readonly full_of_visible_ceiling: Interval;
}

interface EvaluateFlags {
  data: string;
  models?: string;
  from?: string;
  until?: string;
  requests: number;
  retrievals: number;
  windowHours: number;
  rounds: number;
  seed: number;
  features: boolean;
  json?: boolean;
}

export function evaluateCommand(): Command {
  return new Command("evaluate")
    .description("judge models and rankings on held-out data")
    .requiredOption("--data <dir>", "directory that roost simulate or roost import wrote")
    .option("--models <dir>", "where the bundles are; <data>/models when not given")
    .option("--from <date>", "first day judged, or a moment; what is held out when not given")
    .option("--until <date>", "last day (its end) judged, or a moment")
    .option("--requests <n>", "simulated requests for the gain shares (worlds only)", whole, 1200)
    .option("--retrievals <n>", "simulated requests for retrieval (worlds only)", whole, 240)
    .option("--window-hours <h>", "oldest posts that are to be retrieved", whole, 48)
    .option("--rounds <n>", "bootstrap resamples of each interval", whole, 200)
    .option("--seed <n>", "seed of resampling and permutation", whole, 1)
    .option("--no-features", "leave out the report per feature")
    .option("--json", "print the report as JSON")
    .action(async (flags: EvaluateFlags) => {
      const startedAt = performance.now();
      const report = await evaluate(flags);
      const whole = { ...report, seconds: (performance.now() - startedAt) / 1000 };
      process.stdout.write(
        flags.json ? `${JSON.stringify(whole, null, 2)}\n` : evaluationTables(whole),
      );
    });
}

async function evaluate(flags: EvaluateFlags): Promise<Omit<Evaluation, "seconds">> {
  const manifest = readManifest(flags.data);
  const range = rangeOf(manifest, flags);
  const models = await openModels(flags.models ?? join(flags.data, "models"));
  try {
    return await judge(flags, manifest, range, models);
  } finally {
    for (const predictor of Object.values(models)) await predictor.close();
  }
}

async function judge(
  flags: EvaluateFlags,
  manifest: DatasetManifest,
  range: HeldOutRange,
  models: Models,
): Promise<Omit<Evaluation, "seconds">> {
  const main = models.heavy ?? models.light;
  if (main === undefined)
    throw new RoostError("BAD_BUNDLE", "there is no light or heavy bundle to judge");
  const world = createWorldOf(manifest);
  const { rows, truth, funnel, retrieval } = await walk(flags, manifest, range, models, world);
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
    features,
    funnel,
    retrieval,
  };
}

/** Walks the data set once: rows of the range, their truth, and the gain shares of requests in it. */
async function walk(
  flags: EvaluateFlags,
  manifest: DatasetManifest,
  range: HeldOutRange,
  { light, heavy }: Models,
  world: ReturnType<typeof createWorldOf>,
): Promise<
  HeldOut & { readonly funnel: FunnelReport | null; readonly retrieval: RetrievalReport | null }
> {
  const arms =
    world !== undefined && flags.requests > 0 && light && heavy
      ? await rankArms(
          world,
          { light: light.bundle, heavy: heavy.bundle },
          await loadPreset("world"),
        )
      : undefined;
  const towers =
    world !== undefined && flags.retrievals > 0
      ? await openTowers(flags.models ?? join(flags.data, "models"))
      : undefined;
  const judge =
    world !== undefined && towers !== undefined
      ? new RetrievalJudge(world, towers.user, towers.post, {
          requests: flags.retrievals,
          windowHours: flags.windowHours,
          ...range,
        })
      : undefined;
  try {
    const funnel = collectRequests(arms, flags.requests);
    const heldOut = await walkHeldOut(
      flags.data,
      manifest,
      range,
      world,
      async (event, moment) => {
        await funnel.onImpression(event, moment);
        await judge?.request(event, moment);
      },
      () => {},
      (event) => judge?.observe(event),
    );
    return {
      ...heldOut,
      funnel: funnel.report(flags),
      retrieval: (await judge?.report(flags)) ?? null,
    };
  } finally {
    await towers?.user.close();
    await towers?.post.close();
    // Else its worker threads would keep a command alive that has failed.
    await arms?.close();
  }
}

/** Judges the first impression of each user in the range as a request, until there are enough. */
function collectRequests(arms: RankArms | undefined, wanted: number) {
  const judged = new Set<string>();
  const requests: RequestValues[] = [];
  let candidates = 0;
  let inNetwork = 0;
  const onImpression: Parameters<typeof walkHeldOut>[4] = (event, moment) => {
    if (arms === undefined || requests.length >= wanted || judged.has(event.user_id))
      return undefined;
    judged.add(event.user_id);
    return arms.judge(event.user_id, event.time_ms, moment).then((request) => {
      if (request === undefined) return;
      candidates += request.candidates;
      inNetwork += request.inNetwork;
      requests.push({ user: requests.length, values: request.values });
    });
  };
  const report = ({ seed, rounds }: EvaluateFlags): FunnelReport | null =>
    requests.length === 0
      ? null
      : {
          requests: requests.length,
          candidates_per_request: candidates / requests.length,
          in_network_per_request: inNetwork / requests.length,
          gain_share: Object.fromEntries(gainShares(requests, { seed, rounds })),
          full_of_visible_ceiling: gainRatio(requests, "full", "visible", { seed, rounds }),
        };
  return { onImpression, report };
}

/** Both towers, where there are bundles of them. */
async function openTowers(
  dir: string,
): Promise<{ user: TowerSession; post: TowerSession } | undefined> {
  if (!existsSync(join(dir, "post_tower"))) return undefined;
  const open = async (kind: string): Promise<TowerSession> =>
    TowerSession.start(await readBundle(join(dir, kind)), 2);
  return { user: await open("user_tower"), post: await open("post_tower") };
}

type Models = Partial<Record<(typeof MODELS)[number], Predictor>>;

async function openModels(dir: string): Promise<Models> {
  const models: Models = {};
  let missing: unknown;
  for (const name of MODELS) {
    let bundle: Bundle;
    try {
      bundle = await readBundle(join(dir, name));
    } catch (error) {
      missing = error;
      continue;
    }
    models[name] = await createPredictor(bundle, 2);
  }
  if (Object.keys(models).length === 0) throw missing;
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
