import { compareIds } from "../../datasets/ids.ts";

/**
 * The `k` best rows, best first: finite scores descending, then all others, ties by ascending post id.
 * A bounded heap, so that keeping 500 of 3,000 does not sort 3,000.
 */
export function topRows(
  score: ArrayLike<number>,
  postIds: readonly string[],
  k: number,
): Int32Array {
  const n = score.length;
  const size = Math.max(0, Math.min(k, n));
  const heap = new Int32Array(size);
  // The heap's root is its worst row: the next to go.
  for (let row = 0; row < size; row++) {
    let at = row;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (compareRows(score, postIds, heap[parent] as number, row) >= 0) break;
      heap[at] = heap[parent] as number;
      at = parent;
    }
    heap[at] = row;
  }
  if (size > 0) {
    for (let row = size; row < n; row++) {
      if (compareRows(score, postIds, row, heap[0] as number) < 0)
        sink(heap, size, row, score, postIds);
    }
  }
  // Taking the worst out again and again leaves the best in front.
  for (let end = size - 1; end > 0; end--) {
    const last = heap[end] as number;
    heap[end] = heap[0] as number;
    sink(heap, end, last, score, postIds);
  }
  return heap;
}

/** Puts `row` in place of the root of the first `size` entries and restores the heap. */
function sink(
  heap: Int32Array,
  size: number,
  row: number,
  score: ArrayLike<number>,
  postIds: readonly string[],
): void {
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= size) break;
    const right = child + 1;
    if (
      right < size &&
      compareRows(score, postIds, heap[right] as number, heap[child] as number) > 0
    )
      child = right;
    if (compareRows(score, postIds, row, heap[child] as number) >= 0) break;
    heap[at] = heap[child] as number;
    at = child;
  }
  heap[at] = row;
}

/** Negative when row `a` ranks before row `b`. */
export function compareRows(
  score: ArrayLike<number>,
  postIds: readonly string[],
  a: number,
  b: number,
): number {
  const x = score[a] as number;
  const y = score[b] as number;
  const finite = Number.isFinite(x);
  if (finite !== Number.isFinite(y)) return finite ? -1 : 1;
  if (finite && x !== y) return x > y ? -1 : 1;
  return compareIds(postIds[a] as string, postIds[b] as string);
}
