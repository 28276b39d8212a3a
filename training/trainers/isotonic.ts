/** A non-decreasing curve through points (x ascending), flat outside, linear between. */
export interface IsotonicCurve {
  readonly x: number[];
  readonly y: number[];
}

/**
 * Isotonic regression of labels on scores by pooling adjacent violators; each pooled block becomes one point at its
 * weighted mean score, so the curve rises between blocks and keeps the order of scores there. NaN labels are left out.
 * Source: Barlow et al. (1972), PAV; Oron and Flournoy (2017), "Centered isotonic regression" (points at block centres).
 */
export function isotonicCurve(
  scores: ArrayLike<number>,
  labels: ArrayLike<number>,
  weights: ArrayLike<number>,
): IsotonicCurve {
  const kept: number[] = [];
  for (let i = 0; i < labels.length; i++) if (!Number.isNaN(labels[i])) kept.push(i);
  kept.sort((p, q) => (scores[p] as number) - (scores[q] as number));
  const blocks: Block[] = [];
  for (const i of kept) {
    const [score, weight] = [scores[i] as number, weights[i] as number];
    if (weight === 0) continue;
    const top = blocks.at(-1);
    const fresh = {
      weight,
      sumX: weight * score,
      sumY: weight * (labels[i] as number),
      last: score,
    };
    // Equal scores are one observation, whatever their labels: nothing is pooled before the last of them is in.
    if (top && top.last === score) merge(top, fresh);
    else {
      pool(blocks);
      blocks.push(fresh);
    }
  }
  pool(blocks);
  return {
    x: blocks.map((block) => block.sumX / block.weight),
    y: blocks.map((block) => block.sumY / block.weight),
  };
}

interface Block {
  weight: number;
  sumX: number;
  sumY: number;
  last: number;
}

function merge(into: Block, next: Block): void {
  into.weight += next.weight;
  into.sumX += next.sumX;
  into.sumY += next.sumY;
  into.last = next.last;
}

/** Merges the last block into its predecessor while its mean is not above it. */
function pool(blocks: Block[]): void {
  for (;;) {
    const [before, last] = [blocks.at(-2), blocks.at(-1)];
    if (!before || !last) return;
    if (before.sumY / before.weight < last.sumY / last.weight) return;
    merge(before, last);
    blocks.pop();
  }
}
