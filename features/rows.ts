/** Point-in-time training rows as columns: row i of every column is impression i, in (time, sequence) order. */
export interface TrainingRows {
  readonly n: number;
  readonly featureNames: readonly string[];
  /** Row-major [n, d]; NaN = missing. */
  readonly features: Float32Array;
  readonly idNames: readonly string[];
  /** Row-major [n, k]: 32-bit hashes of entity ids (author, topic …), 0 = missing. A bundle takes them modulo its table size. */
  readonly ids: Uint32Array;
  readonly headNames: readonly string[];
  /** Row-major [n, heads]: 0 or 1 for binary heads, the amount for continuous ones, NaN = not observable (closed gate): masked. */
  readonly labels: Float32Array;
  readonly timeMs: Float64Array;
  /** Dense index of the viewer, for grouped metrics and clustered intervals. */
  readonly user: Int32Array;
  /** The viewer and post of each row, for joins outside. */
  readonly userIds: readonly string[];
  readonly postIds: readonly string[];
  readonly position: Float32Array;
  /** 1 = in-network, 0 = out-of-network, NaN = unknown. */
  readonly inNetwork: Float32Array;
  /** Sample weight per row (1 unless position bias is corrected). */
  readonly weight: Float32Array;
}
