import { type BootstrapOptions, bootstrapAll } from "../../experiments/metrics/bootstrap.ts";
import type { PreparedMetric } from "../../experiments/metrics/metric.ts";
import type { BundleManifest } from "../../features/bundle.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { POST_TOWER, USER_TOWER } from "../../features/tower-inputs.ts";
import type { TowerRows } from "../../features/tower-rows.ts";
import { slotTables, type TowerBuckets, towerMatrices } from "../../features/tower-table.ts";
import { onnxSession } from "../graph/run-onnx.ts";
import type { TowerLog } from "../tower-log.ts";
import { towerExamples } from "./tower-examples.ts";
import { TwoTowerOptions } from "./two-tower-options.ts";

/** Welcomed impressions that are looked at, evenly over time. */
const MOST_EXAMPLES = 4_000;
const CHUNK = 512;

/** Both towers as models, and the sizes of their table. */
export interface TowerModels {
  readonly user: Uint8Array;
  readonly post: Uint8Array;
  readonly buckets: TowerBuckets;
}

/** Pairs of a welcomed post and one by lot, counted by viewer [users of the rows]. */
export interface TowerWins {
  /** Pairs in which the welcomed post scores higher; ties count half. */
  readonly wins: PreparedMetric;
  readonly pairs: PreparedMetric;
  readonly count: number;
}

/**
 * Compares every welcomed out-of-network post of rows [from, to) (at most 4,000, evenly over time) with one drawn
 * uniformly from those that could have been shown then. The pairs depend on rows and log alone, so all towers are judged
 * on the same.
 */
export async function towerWins(
  { user, post, buckets }: TowerModels,
  rows: TrainingRows,
  log: TowerLog,
  from: number,
  to: number,
): Promise<TowerWins> {
  const settings = TwoTowerOptions.parse({ inNetworkWeight: 0 });
  const { welcomed } = towerExamples(rows, log, from, to, settings, 0);
  const stride = Math.max(1, Math.ceil(welcomed.length / MOST_EXAMPLES));
  const chosen = welcomed.filter((_, i) => i % stride === 0);
  const userOf = (row: number): number => log.userOf[row] as number;
  const users = await vectors(user, "user", log.users, buckets, chosen.map(userOf));
  const own = await vectors(post, "post", log.posts, buckets, chosen);
  const lots = await vectors(
    post,
    "post",
    log.lots,
    buckets,
    chosen.map((row, i) => userOf(row) * log.lotsPerRequest + (i % log.uniformPerRequest)),
  );
  const d = own.length / Math.max(1, chosen.length);
  const unitCount = rows.user.reduce((most, user) => Math.max(most, user + 1), 0);
  const wins = new Float64Array(unitCount);
  const pairs = new Float64Array(unitCount);
  chosen.forEach((row, i) => {
    let difference = 0;
    for (let j = i * d; j < (i + 1) * d; j++)
      difference += (users[j] as number) * ((own[j] as number) - (lots[j] as number));
    const user = rows.user[row] as number;
    wins[user] = (wins[user] as number) + (difference > 0 ? 1 : difference === 0 ? 0.5 : 0);
    pairs[user] = (pairs[user] as number) + 1;
  });
  const total = (values: Float64Array): PreparedMetric => ({
    unitCount,
    value: (weights) =>
      values.reduce((sum, value, user) => sum + value * (weights?.[user] ?? 1), 0),
  });
  return { wins: total(wins), pairs: total(pairs), count: chosen.length };
}

/** The share of pairs that are won, resampled by viewer: `auc` of the head `retrieval`; nothing without pairs. */
export function towerMetrics(
  { wins, pairs, count }: TowerWins,
  options: BootstrapOptions,
): BundleManifest["metrics"] {
  if (count === 0) return {};
  return {
    retrieval: {
      auc: bootstrapAll([wins, pairs], ([won, of]) => (won as number) / (of as number), options),
    },
  };
}

async function vectors(
  model: Uint8Array,
  side: "user" | "post",
  rows: TowerRows,
  buckets: TowerBuckets,
  picked: Int32Array,
): Promise<Float32Array> {
  const tables = slotTables(side === "user" ? USER_TOWER : POST_TOWER, buckets);
  const session = await onnxSession(model, 1);
  const parts: Float32Array[] = [];
  try {
    for (let start = 0; start < picked.length; start += CHUNK) {
      const part = picked.subarray(start, start + CHUNK);
      const single = Array.from(part, (row) => towerMatrices(rows, tables, row, 1));
      const join = <T extends Float32Array | Int32Array>(into: T, of: (i: number) => T): T => {
        for (let i = 0; i < part.length; i++) into.set(of(i), (i * into.length) / part.length);
        return into;
      };
      const width = rows.width + rows.slots;
      const { outputs } = await session.run({
        features: {
          data: join(new Float32Array(part.length * width), (i) => single[i]!.features),
          shape: [part.length, width],
        },
        ids: {
          data: join(new Int32Array(part.length * 2 * rows.slots), (i) => single[i]!.ids),
          shape: [part.length, 2 * rows.slots],
        },
      });
      parts.push(outputs as Float32Array);
    }
  } finally {
    await session.release();
  }
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
