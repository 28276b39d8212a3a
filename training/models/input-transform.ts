import { ops } from "../graph/ops.ts";
import { constant, scalar, type Value } from "../graph/value.ts";

/** Bound on normalised inputs. Source: the-algorithm-ml, recap: "double norm log" clips at ±5. */
const CLIP = 5;

/** What the input transform learns from training rows, per feature: constants of the model. */
export interface InputStatistics {
  /** Of sign·ln(1 + |x|) over finite values. */
  readonly mean: Float32Array;
  /** Standard deviation of the same; 1 where it does not vary. */
  readonly deviation: Float32Array;
  /**
   * Columns that were missing in some training rows and not in all: they get a missing indicator. Of columns that were
   * missing together (all features of an unknown author) only the first is named.
   */
  readonly indicators: readonly number[];
}

/**
 * Statistics of `columns` of row-major `features` [n, d] over every `stride`-th row. Missing and infinite values are left
 * out of them.
 * Means are summed in row order in double precision, so equal rows give equal bytes.
 */
export function inputStatistics(
  features: Float32Array,
  n: number,
  d: number,
  columns: readonly number[],
  stride = 1,
): InputStatistics {
  const count = new Float64Array(columns.length);
  const sum = new Float64Array(columns.length);
  const squares = new Float64Array(columns.length);
  const pattern = new Int32Array(columns.length);
  let seen = 0;
  for (let row = 0; row < n; row += stride) {
    seen++;
    for (let c = 0; c < columns.length; c++) {
      const x = features[row * d + (columns[c] as number)] as number;
      if (!Number.isFinite(x)) {
        pattern[c] = Math.imul(pattern[c]! ^ row, 0x01000193) + 1;
        continue;
      }
      const t = Math.sign(x) * Math.log1p(Math.abs(x));
      count[c]! += 1;
      sum[c]! += t;
      squares[c]! += t * t;
    }
  }
  const mean = Float32Array.from(sum, (s, c) => s / Math.max(1, count[c]!));
  const deviation = Float32Array.from(squares, (s, c) => {
    const m = sum[c]! / Math.max(1, count[c]!);
    const variance = s / Math.max(1, count[c]!) - m * m;
    // Below this the column is constant up to rounding, and dividing would blow rounding up to signal.
    return variance > 1e-9 ? Math.sqrt(variance) : 1;
  });
  const known = new Set<number>();
  const indicators = columns.flatMap((_, c) => {
    if (count[c] === 0 || count[c] === seen || known.has(pattern[c]!)) return [];
    known.add(pattern[c]!);
    return [c];
  });
  return { mean, deviation, indicators };
}

/**
 * Raw features [n, d] → [n, d + indicators]: sign·ln(1 + |x|), normalised, clipped to ±5; missing (NaN) and infinite
 * values become 0, the mean, and set their indicator to 1.
 * Source: the-algorithm-ml, projects/home/recap, "double norm log", with statistics as constants instead of batch norm.
 */
export function inputTransform(features: Value, statistics: InputStatistics): Value {
  const { mean, deviation, indicators } = statistics;
  const d = mean.length;
  // x − x is 0 for finite x and NaN otherwise.
  const missing = ops.isNan(ops.sub(features, features)); // [n, d]
  const finite = ops.where(missing, scalar(0), features);
  const logged = ops.mul(ops.sign(finite), ops.log(ops.add(ops.abs(finite), scalar(1))));
  const inverse = deviation.map((value) => 1 / value);
  const normal = ops.mul(ops.sub(logged, constant(mean, [d])), constant(inverse, [d]));
  const clipped = ops.where(missing, scalar(0), ops.clip(normal, -CLIP, CLIP)); // [n, d]
  if (indicators.length === 0) return clipped;
  // Picking columns as a product with a selection matrix costs one small matrix product; a gather along columns copies strided.
  const pick = new Float32Array(d * indicators.length);
  indicators.forEach((column, i) => {
    pick[column * indicators.length + i] = 1;
  });
  const flags = ops.matmul(ops.toFloat(missing), constant(pick, [d, indicators.length]));
  return ops.concat([clipped, flags], 1);
}
