/**
 * AUC of scores that are true probabilities, expected over outcomes: Σ p_i (1 − p_j) [p_i > p_j] over
 * Σ p_i (1 − p_j), i ≠ j; ties count half. Rows with p = 0 because a gate is closed must be left out by the caller.
 * NaN for fewer than two rows. Sorts `p` in place.
 */
export function expectedAuc(p: Float32Array): number {
  p.sort();
  let won = 0;
  let pairs = 0;
  let missesBelow = 0;
  let misses = 0;
  for (const x of p) misses += 1 - x;
  for (let start = 0; start < p.length; ) {
    const x = p[start]!;
    let end = start + 1;
    while (end < p.length && p[end] === x) end++;
    const n = end - start;
    // A row makes no pair with itself.
    won += n * x * (missesBelow + 0.5 * (n - 1) * (1 - x));
    pairs += n * x * (misses - (1 - x));
    missesBelow += n * (1 - x);
    start = end;
  }
  return won / pairs;
}
