/**
 * Exponent of a power-law tail by maximum likelihood, α = 1 + n / Σ ln(x / (x_min − ½)), with x_min chosen so that the
 * fitted tail is closest to the data (Kolmogorov–Smirnov distance), among tails of at least `leastTail` values.
 *
 * Source: Clauset, Shalizi and Newman (2009), "Power-law distributions in empirical data", eq. 3.7 and §3.3.
 */
export function powerLawTail(
  values: ArrayLike<number>,
  leastTail: number,
): { exponent: number; xMin: number; tail: number } {
  const sorted = Array.from(values)
    .filter((x) => x >= 1)
    .sort((a, b) => b - a); // descending
  let best = { exponent: Number.NaN, xMin: Number.NaN, tail: 0 };
  let bestDistance = Number.POSITIVE_INFINITY;
  let logSum = 0;
  for (let n = 1; n <= sorted.length; n++) {
    const xMin = sorted[n - 1]!;
    logSum += Math.log(xMin);
    // A tail holds all values that equal its smallest.
    if (n < leastTail || sorted[n] === xMin) continue;
    const exponent = 1 + n / (logSum - n * Math.log(xMin - 0.5));
    const distance = ksDistance(sorted, n, xMin, exponent);
    if (distance < bestDistance) {
      bestDistance = distance;
      best = { exponent, xMin, tail: n };
    }
  }
  return best;
}

/** Largest difference between the share of the tail's n values ≥ x and the fitted (x / x_min)^(1 − α). */
function ksDistance(descending: number[], n: number, xMin: number, exponent: number): number {
  let distance = 0;
  for (let i = 0; i < n; i++) {
    if (i + 1 < n && descending[i + 1] === descending[i]) continue;
    const x = descending[i]!;
    const model = ((x - 0.5) / (xMin - 0.5)) ** (1 - exponent);
    distance = Math.max(distance, Math.abs((i + 1) / n - model));
  }
  return distance;
}
