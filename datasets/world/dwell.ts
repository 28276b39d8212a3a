/** Spread of log seconds. With 0.9 the mean at p = .3 is 4.7 s and at p = .8 16 s. */
const LOG_SD = 0.9;
/** Seconds beyond which a stay counts as `dwell`. */
export const DWELL_SECONDS = 5;
/** No stay counts for longer. */
export const LONGEST_DWELL_SECONDS = 600;

/**
 * Median of the log-normal stay whose chance of lasting beyond 5 s is `p` (0–1):
 * ln m = ln 5 + .9 · Φ⁻¹(p).
 */
export function medianDwellSeconds(p: number): number {
  return DWELL_SECONDS * Math.exp(LOG_SD * normalQuantile(Math.min(0.9999, Math.max(1e-6, p))));
}

/** Expected seconds: median · exp(sd²/2). The cap at 600 s takes off less than .1 % for p ≤ .95. */
export function expectedDwellSeconds(p: number): number {
  return medianDwellSeconds(p) * Math.exp((LOG_SD * LOG_SD) / 2);
}

/** A stay in seconds for a standard normal draw `z`. */
export function dwellSeconds(p: number, z: number): number {
  return Math.min(LONGEST_DWELL_SECONDS, medianDwellSeconds(p) * Math.exp(LOG_SD * z));
}

/**
 * Standard normal quantile for p in (0, 1), relative error below 1.2e-9.
 * Source: P. J. Acklam, "An algorithm for computing the inverse normal cumulative distribution function" (2003).
 */
export function normalQuantile(p: number): number {
  if (p < 0.02425) return tail(Math.sqrt(-2 * Math.log(p)));
  if (p > 1 - 0.02425) return -tail(Math.sqrt(-2 * Math.log(1 - p)));
  const q = p - 0.5;
  const r = q * q;
  const top =
    (((((-39.69683028665376 * r + 220.9460984245205) * r - 275.9285104469687) * r +
      138.357751867269) *
      r -
      30.66479806614716) *
      r +
      2.506628277459239) *
    q;
  const bottom =
    ((((-54.47609879822406 * r + 161.5858368580409) * r - 155.6989798598866) * r +
      66.80131188771972) *
      r -
      13.28068155288572) *
      r +
    1;
  return top / bottom;
}

function tail(q: number): number {
  const top =
    ((((-0.007784894002430293 * q - 0.3223964580411365) * q - 2.400758277161838) * q -
      2.549732539343734) *
      q +
      4.374664141464968) *
      q +
    2.938163982698783;
  const bottom =
    (((0.007784695709041462 * q + 0.3224671290700398) * q + 2.445134137142996) * q +
      3.754408661907416) *
      q +
    1;
  return top / bottom;
}
