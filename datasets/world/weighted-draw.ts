import type { Random } from "../random.ts";

/** Draws indices with probability proportional to fixed weights ≥ 0 (inverse of the cumulative sum). */
export interface WeightedDraw {
  draw(random: Random): number;
}

export function weightedDraw(weights: ArrayLike<number>): WeightedDraw {
  const cumulative = new Float64Array(weights.length);
  let total = 0;
  for (let i = 0; i < weights.length; i++) {
    total += weights[i]!;
    cumulative[i] = total;
  }
  return {
    draw(random) {
      const at = random.next() * total;
      let low = 0;
      let high = cumulative.length - 1;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (cumulative[middle]! > at) high = middle;
        else low = middle + 1;
      }
      return low;
    },
  };
}

/** Zipf weights 1/rank^exponent for ranks 1…n. */
export function zipf(n: number, exponent: number): Float64Array {
  return Float64Array.from({ length: n }, (_, i) => 1 / (i + 1) ** exponent);
}
