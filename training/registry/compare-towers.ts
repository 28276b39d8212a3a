import { type BootstrapOptions, bootstrapAll } from "../../experiments/metrics/bootstrap.ts";
import { verdictOf } from "../../experiments/metrics/compare.ts";
import type { Bundle } from "../../features/bundle.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { towersOf } from "../../features/tower-bundle.ts";
import type { TowerLog } from "../tower-log.ts";
import { type TowerWins, towerMetrics, towerWins } from "../trainers/tower-wins.ts";
import type { VersionComparison } from "./compare-versions.ts";

/**
 * Measures two pairs of towers on the same pairs of posts: `auc` of retrieval, with an interval of the paired difference
 * over resampled viewers. No metric when nothing was welcomed among the rows.
 * @throws BAD_BUNDLE when one is no pair of towers
 */
export async function compareTowers(
  a: Bundle,
  b: Bundle,
  rows: TrainingRows,
  log: TowerLog,
  options: BootstrapOptions,
): Promise<VersionComparison> {
  const [before, after] = [await winsOf(a, rows, log), await winsOf(b, rows, log)];
  const [own, other] = [towerMetrics(before, options), towerMetrics(after, options)].map(
    ({ retrieval }) => retrieval?.auc,
  );
  if (own === undefined || other === undefined)
    return { same_rows: true, paired: true, metrics: [] };
  const difference = bootstrapAll(
    [before.wins, after.wins, before.pairs],
    ([had, has, of]) => ((has as number) - (had as number)) / (of as number),
    options,
  );
  const verdict = verdictOf(difference, "higher");
  return {
    same_rows: true,
    paired: true,
    metrics: [{ head: "retrieval", metric: "auc", a: own, b: other, difference, verdict }],
  };
}

function winsOf(bundle: Bundle, rows: TrainingRows, log: TowerLog): Promise<TowerWins> {
  const { user, post } = towersOf(bundle);
  const models = { user: user.bundle.model, post: post.bundle.model, buckets: user.buckets };
  return towerWins(models, rows, log, 0, rows.n);
}
