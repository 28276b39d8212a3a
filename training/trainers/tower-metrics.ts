import { bootstrapAll, type Interval } from "../../experiments/metrics/bootstrap.ts";
import type { PreparedMetric } from "../../experiments/metrics/metric.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { POST_TOWER, USER_TOWER } from "../../features/tower-inputs.ts";
import type { TowerRows } from "../../features/tower-rows.ts";
import { slotTables, type TowerBuckets, towerMatrices } from "../../features/tower-table.ts";
import { onnxSession } from "../graph/run-onnx.ts";
import type { TowerLog } from "../tower-log.ts";
import { towerExamples } from "./tower-examples.ts";
import type { TrainedTowers } from "./train-two-tower.ts";

/** Welcomed impressions that are looked at, evenly over time. */
const MOST_EXAMPLES = 4_000;
const CHUNK = 512;

/**
 * The share of pairs in which a welcomed out-of-network post of rows [from, to) scores above a post by lot that could have
 * been shown then (`retrieval_auc`), resampled by viewer. Undefined when nothing was welcomed.
 */
export async function towerMetrics(
  towers: TrainedTowers,
  rows: TrainingRows,
  log: TowerLog,
  from: number,
  to: number,
  options: { readonly seed: number; readonly rounds: number },
): Promise<Record<string, Interval> | undefined> {
  const settings = { ...towers.settings, inNetworkWeight: 0 };
  const { welcomed } = towerExamples(rows, log, from, to, settings, options.seed);
  if (welcomed.length === 0) return undefined;
  const stride = Math.max(1, Math.ceil(welcomed.length / MOST_EXAMPLES));
  const chosen = welcomed.filter((_, i) => i % stride === 0);
  const perRequest = log.negatives.n / log.users.n;
  const { buckets } = towers.settings;
  const users = await vectors(towers.user, "user", log.users, buckets, chosen.map(userOf));
  const own = await vectors(towers.post, "post", log.posts, buckets, chosen);
  const lots = await vectors(
    towers.post,
    "post",
    log.negatives,
    buckets,
    chosen.map((row, i) => userOf(row) * perRequest + (i % perRequest)),
  );
  const d = own.length / chosen.length;
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
  return {
    retrieval_auc: bootstrapAll(
      [total(wins), total(pairs)],
      ([won, of]) => (won as number) / (of as number),
      options,
    ),
  };

  function userOf(row: number): number {
    return log.userOf[row] as number;
  }
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
