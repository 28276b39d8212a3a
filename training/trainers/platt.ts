/** Standard deviations of the normal priors around the identity (a = 1, b = 0): they matter for a handful of positives only. */
const SLOPE_SPREAD = 0.3;
const SHIFT_SPREAD = 1;
/** The least slope: a calibration may flatten a head but never turn its order round. */
const LEAST_SLOPE = 0.05;

/**
 * p = σ(a·z + b) fitted to logits and 0/1 labels by penalised maximum likelihood (Newton's method). Rows with a NaN label
 * are left out. Without rows it is the identity.
 * Source: Platt (1999), "Probabilistic outputs for support vector machines"; Newton as in Lin, Lin, Weng (2007). Deviation:
 * normal priors around the identity instead of smoothed targets, because the inputs are logits already.
 */
export function plattScaling(
  logits: ArrayLike<number>,
  labels: ArrayLike<number>,
  weights: ArrayLike<number>,
): { a: number; b: number } {
  let [a, b] = [1, 0];
  let step = 0;
  for (; step < 100; step++) {
    let [ga, gb] = [(a - 1) / SLOPE_SPREAD ** 2, b / SHIFT_SPREAD ** 2];
    let [haa, hab, hbb] = [1 / SLOPE_SPREAD ** 2, 0, 1 / SHIFT_SPREAD ** 2];
    for (let i = 0; i < labels.length; i++) {
      const y = labels[i] as number;
      if (Number.isNaN(y)) continue;
      const z = logits[i] as number;
      const w = weights[i] as number;
      const p = 1 / (1 + Math.exp(-(a * z + b)));
      const residual = w * (p - y);
      const curvature = w * p * (1 - p);
      ga += residual * z;
      gb += residual;
      haa += curvature * z * z;
      hab += curvature * z;
      hbb += curvature;
    }
    const determinant = haa * hbb - hab * hab;
    const da = (hbb * ga - hab * gb) / determinant;
    const db = (haa * gb - hab * ga) / determinant;
    // The curvature is largest near p = ½: from far outside, a full Newton step can overshoot.
    const damping = Math.min(1, 2 / Math.max(Math.abs(da), Math.abs(db)));
    a = Math.max(LEAST_SLOPE, a - damping * da);
    b -= damping * db;
    if (Math.abs(da) + Math.abs(db) < 1e-9) break;
  }
  return { a, b };
}
