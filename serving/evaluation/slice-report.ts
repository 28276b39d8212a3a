import { HEAD_BY_NAME } from "../../datasets/heads.ts";
import { aucMetric } from "../../experiments/metrics/auc.ts";
import { bootstrap, type Interval } from "../../experiments/metrics/bootstrap.ts";
import { groupedAucMetric } from "../../experiments/metrics/grouped-auc.ts";
import { normalizedEntropyMetric } from "../../experiments/metrics/normalized-entropy.ts";
import { prAucMetric } from "../../experiments/metrics/pr-auc.ts";
import type { TrainingRows } from "../../features/rows.ts";

/** How one head does on some of the rows. */
export interface SliceHead {
  readonly head: string;
  readonly rows: number;
  readonly positives: number;
  /** Metric → value with its interval over resampled users; null where it is not defined. */
  readonly metrics: Readonly<Record<string, Interval | null>>;
  /** Σ predicted ÷ Σ observed; null without a positive. */
  readonly calibration: number | null;
}

export interface Slice {
  /**
   * What rows are told apart by: `day`, `surface`, `media`, `user` (`new` without an impression before the rows begin, or
   * `known`), `history` (`none` for new users of whom nothing is known from elsewhere either).
   */
  readonly by: string;
  readonly value: string;
  readonly rows: number;
  readonly users: number;
  readonly heads: readonly SliceHead[];
}

export interface SliceOptions {
  readonly seed: number;
  readonly rounds: number;
  /** Hours of the data's calendar ahead of UTC. */
  readonly utcOffsetHours: number;
  /** The surface of each row, "none" where it names none. */
  readonly surfaces: readonly string[];
}

const METRICS = [aucMetric, groupedAucMetric, prAucMetric, normalizedEntropyMetric] as const;
/** Below this many positives or negatives an interval would be wider than any difference worth knowing. */
const LEAST_OF_EACH = 20;

/** The main model's predictions [n, heads] judged on parts of the rows, parts of one kind in the order of their names. */
export function sliceReports(
  rows: TrainingRows,
  predictions: Float32Array,
  options: SliceOptions,
): Slice[] {
  const media = rows.featureNames.indexOf("post.has_video");
  const photo = rows.featureNames.indexOf("post.has_photo");
  const elsewhere = rows.featureNames.indexOf("user_elsewhere.views_50d");
  const lastSeen = rows.featureNames.indexOf("user.hours_since_seen");
  const d = rows.featureNames.length;
  const feature = (row: number, column: number): number =>
    column < 0 ? Number.NaN : (rows.features[row * d + column] as number);
  // Rows come in time order: whose first has no last impression was never shown anything before.
  const known = new Map<number, boolean>();
  for (let row = 0; row < rows.n; row++) {
    const user = rows.user[row] as number;
    if (!known.has(user)) known.set(user, !Number.isNaN(feature(row, lastSeen)));
  }
  const isKnown = (row: number): boolean => known.get(rows.user[row] as number) === true;
  const kinds: Record<string, (row: number) => string> = {
    day: (row) =>
      new Date((rows.timeMs[row] as number) + options.utcOffsetHours * 3_600_000)
        .toISOString()
        .slice(0, 10),
    surface: (row) => options.surfaces[row] as string,
    media: (row) =>
      feature(row, media) === 1 ? "video" : feature(row, photo) === 1 ? "photo" : "none",
    user: (row) => (isKnown(row) ? "known" : "new"),
    history: (row) => (isKnown(row) || feature(row, elsewhere) > 0 ? "some" : "none"),
  };
  return Object.entries(kinds).flatMap(([by, of]) => {
    const parts = new Map<string, number[]>();
    for (let row = 0; row < rows.n; row++) {
      const value = of(row);
      const part = parts.get(value);
      if (part === undefined) parts.set(value, [row]);
      else part.push(row);
    }
    return [...parts]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([value, picked]) => slice(by, value, picked, rows, predictions, options));
  });
}

function slice(
  by: string,
  value: string,
  picked: readonly number[],
  rows: TrainingRows,
  predictions: Float32Array,
  { seed, rounds }: SliceOptions,
): Slice {
  // Numbered anew: a resample draws from the users of this part.
  const numbers = new Map<number, number>();
  const users = Int32Array.from(picked, (row) => {
    const user = rows.user[row] as number;
    const number = numbers.get(user) ?? numbers.size;
    numbers.set(user, number);
    return number;
  });
  const width = rows.headNames.length;
  const heads = rows.headNames.flatMap((head, h): SliceHead[] => {
    if (HEAD_BY_NAME.get(head)?.kind !== "binary") return [];
    const scores = Float32Array.from(picked, (row) => predictions[row * width + h] as number);
    if (Number.isNaN(scores[0])) return [];
    const labels = Float32Array.from(picked, (row) => rows.labels[row * width + h] as number);
    let [observed, positives, predicted] = [0, 0, 0];
    labels.forEach((label, i) => {
      if (Number.isNaN(label)) return;
      observed++;
      positives += label;
      predicted += scores[i] as number;
    });
    const judged = Math.min(positives, observed - positives) >= LEAST_OF_EACH;
    const scored = { scores, labels, groups: users, units: users };
    return [
      {
        head,
        rows: observed,
        positives,
        metrics: Object.fromEntries(
          METRICS.map((metric) => [
            metric.name,
            judged ? finite(bootstrap(metric, scored, { seed, rounds })) : null,
          ]),
        ),
        calibration: positives > 0 ? predicted / positives : null,
      },
    ];
  });
  return { by, value, rows: picked.length, users: numbers.size, heads };
}

const finite = (interval: Interval): Interval | null =>
  Object.values(interval).every(Number.isFinite) ? interval : null;
