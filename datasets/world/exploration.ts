import type { Random } from "../random.ts";

/** Chance that a slot of a logged page is given to a post from outside the page: the 5–10 % randomised share. */
export const EXPLORATION = 0.08;

/**
 * Replaces slots of `page[0 … size)` in place. Each slot is independently, with probability `epsilon`, given a post drawn
 * uniformly without replacement from `rest[0 … restSize)`; all others keep theirs. Writes for every slot the probability
 * that it shows what it now shows. By symmetry that is, whatever the other slots show,
 * 1 − ε for a slot that kept its post and ε / restSize for a drawn one. A rest that could run out (restSize < size)
 * leaves the page as it is with probability 1.
 *
 * `rest` is reordered. Source: ε-greedy slates with known marginals, as in Swaminathan et al. (2017), "Off-policy
 * evaluation for slate recommendation", §2, in its slot-wise form.
 */
export function explore(
  page: Int32Array,
  size: number,
  rest: Int32Array,
  restSize: number,
  epsilon: number,
  propensities: Float64Array,
  source: Random,
): void {
  if (restSize < size || epsilon === 0) {
    propensities.fill(1, 0, size);
    return;
  }
  let used = 0;
  for (let slot = 0; slot < size; slot++) {
    if (source.next() >= epsilon) {
      propensities[slot] = 1 - epsilon;
      continue;
    }
    const chosen = used + source.below(restSize - used);
    const post = rest[chosen]!;
    rest[chosen] = rest[used]!;
    rest[used++] = post;
    page[slot] = post;
    propensities[slot] = epsilon / restSize;
  }
}
