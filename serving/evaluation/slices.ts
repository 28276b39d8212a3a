import { HEAD_BY_NAME } from "../../datasets/heads.ts";
import { aucMetric } from "../../experiments/metrics/auc.ts";
import { bootstrap, type Interval } from "../../experiments/metrics/bootstrap.ts";
import { groupedAucMetric } from "../../experiments/metrics/grouped-auc.ts";
import { normalizedEntropyMetric } from "../../experiments/metrics/normalized-entropy.ts";
import { languageCode } from "../../features/families/post-content.ts";
import type { TrainingRows } from "../../features/rows.ts";

/** Fewer positives than this say nothing of a slice. */
const LEAST_POSITIVES = 100;
/** An account is new for a week: most of what is learned of a viewer is learned in it. */
const NEW_DAYS = 7;
const METRICS = [aucMetric, groupedAucMetric, normalizedEntropyMetric];

export interface SliceHead {
  readonly rows: number;
  readonly positives: number;
  /** `auc`, `gauc`, `normalized_entropy` of the main model, with intervals over resampled viewers. */
  readonly metrics: Readonly<Record<string, Interval>>;
}

export interface SliceReport {
  /** What the rows are divided by: `viewer`, `history`, `network`, `media`, `language`, `surface`, `day`. */
  readonly by: string;
  readonly slice: string;
  readonly rows: number;
  readonly users: number;
  /** Binary heads with at least 100 positives in the slice. */
  readonly heads: Readonly<Record<string, SliceHead>>;
}

export interface SliceOptions {
  readonly seed: number;
  readonly rounds: number;
  /** Hours of the data's calendar ahead of UTC. */
  readonly utcOffsetHours: number;
  /** The surface of each row, "none" where it names none. */
  readonly surfaces?: readonly string[];
}

/** The slice of a row, or undefined for a row in none. */
type SliceOf = (row: number) => string | undefined;

/**
 * The main model on parts of the rows. A division whose feature or id the rows lack is left out, and so are rows of which
 * it is unknown.
 * @param predictions [n, rows' heads] calibrated; NaN columns for heads that the model lacks
 */
export function sliceReports(
  rows: TrainingRows,
  predictions: Float32Array,
  options: SliceOptions,
): SliceReport[] {
  return [...divisions(rows, options)].flatMap(([by, sliceOf]) => {
    const members = new Map<string, number[]>();
    for (let row = 0; row < rows.n; row++) {
      const slice = sliceOf(row);
      if (slice === undefined) continue;
      const list = members.get(slice);
      if (list === undefined) members.set(slice, [row]);
      else list.push(row);
    }
    return [...members]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([slice, picked]): SliceReport => {
        const units = dense(rows.user, picked);
        return {
          by,
          slice,
          rows: picked.length,
          users: units.count,
          heads: sliceHeads(rows, predictions, picked, units.values, options),
        };
      });
  });
}

function divisions(
  rows: TrainingRows,
  { utcOffsetHours, surfaces }: SliceOptions,
): Map<string, SliceOf> {
  const divided = new Map<string, SliceOf>();
  const feature = (
    name: string,
    sliceOf: (value: number) => string | undefined,
  ): SliceOf | null => {
    const at = rows.featureNames.indexOf(name);
    const width = rows.featureNames.length;
    return at === -1 ? null : (row) => sliceOf(rows.features[row * width + at] as number);
  };
  const id = (name: string, sliceOf: (value: number) => string | undefined): SliceOf | null => {
    const at = rows.idNames.indexOf(name);
    const width = rows.idNames.length;
    return at === -1 ? null : (row) => sliceOf(rows.ids[row * width + at] as number);
  };
  const add = (by: string, sliceOf: SliceOf | null): void => {
    if (sliceOf !== null) divided.set(by, sliceOf);
  };
  add(
    "viewer",
    feature("user.account_age_days", (days) =>
      Number.isNaN(days) ? undefined : days < NEW_DAYS ? "new" : "known",
    ),
  );
  // A viewer in the first session, or of whom nothing is known yet.
  add(
    "history",
    feature("user.sessions", (sessions) => (sessions > 1 ? "some" : "none")),
  );
  add("network", (row) => {
    const inNetwork = rows.inNetwork[row] as number;
    return Number.isNaN(inNetwork) ? undefined : inNetwork === 1 ? "in" : "out";
  });
  add(
    "media",
    id("media", (kind) => ["none", "photo", "video"][kind - 1]),
  );
  const languages = languageNames();
  add(
    "language",
    id("language", (code) => (code === 0 ? undefined : (languages.get(code) ?? "other"))),
  );
  add("surface", surfaces === undefined ? null : (row) => surfaces[row]);
  add("day", (row) =>
    new Date((rows.timeMs[row] as number) + utcOffsetHours * 3_600_000).toISOString().slice(0, 10),
  );
  return divided;
}

function sliceHeads(
  rows: TrainingRows,
  predictions: Float32Array,
  picked: readonly number[],
  units: Int32Array,
  { seed, rounds }: { readonly seed: number; readonly rounds: number },
): Record<string, SliceHead> {
  const width = rows.headNames.length;
  const heads: Record<string, SliceHead> = {};
  rows.headNames.forEach((head, h) => {
    if (HEAD_BY_NAME.get(head)?.kind !== "binary" || Number.isNaN(predictions[h])) return;
    const column = (values: Float32Array): Float32Array =>
      Float32Array.from(picked, (row) => values[row * width + h] as number);
    const labels = column(rows.labels);
    let [observed, positives] = [0, 0];
    for (const label of labels) {
      if (Number.isNaN(label)) continue;
      observed++;
      positives += label;
    }
    if (positives < LEAST_POSITIVES || positives === observed) return;
    const scored = { scores: column(predictions), labels, groups: units, units };
    heads[head] = {
      rows: observed,
      positives,
      metrics: Object.fromEntries(
        METRICS.map((metric) => [metric.name, bootstrap(metric, scored, { seed, rounds })]),
      ),
    };
  });
  return heads;
}

/** Viewers of the picked rows, numbered from 0 without gaps: resampling must not draw viewers who are not there. */
function dense(user: Int32Array, picked: readonly number[]): { values: Int32Array; count: number } {
  const numbers = new Map<number, number>();
  const values = Int32Array.from(picked, (row) => {
    const key = user[row] as number;
    const number = numbers.get(key) ?? numbers.size;
    numbers.set(key, number);
    return number;
  });
  return { values, count: numbers.size };
}

/** Code of a language → its two letters. Rows hold the code only. */
function languageNames(): Map<number, string> {
  const letters = "abcdefghijklmnopqrstuvwxyz";
  const names = new Map<number, string>();
  for (const a of letters) for (const b of letters) names.set(languageCode(a + b), a + b);
  return names;
}
