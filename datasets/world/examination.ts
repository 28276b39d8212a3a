/**
 * Probability that a person looks at the slot `position` (0 = top) of a page: (1 + position/12)^−.7.
 * Source: variant V of the world's prototype.
 */
export function examination(position: number): number {
  return (1 + position / 12) ** -0.7;
}
