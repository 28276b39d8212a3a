/** Two-sided 95 % point of the standard normal. */
export const Z_95 = 1.959963984540054;

/**
 * 95 % interval of a proportion with `successes` of `n`, both real ≥ 0. NaN ends when n is 0.
 * Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference".
 */
export function wilsonInterval(successes: number, n: number): { low: number; high: number } {
  if (!(n > 0)) return { low: Number.NaN, high: Number.NaN };
  const p = successes / n;
  const z2 = Z_95 ** 2 / n;
  const centre = (p + z2 / 2) / (1 + z2);
  const half = Math.sqrt((p * (1 - p) + z2 / 4) * z2) / (1 + z2);
  return {
    // Rounding must not push the ends of an exact 0 or 1 inside.
    low: successes === 0 ? 0 : Math.max(0, centre - half),
    high: successes === n ? 1 : Math.min(1, centre + half),
  };
}
