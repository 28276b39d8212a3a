/** Posts for a viewer, out of everything that it knows: what retrieval is judged by. */
export interface Recommender {
  /**
   * The best `k` posts for a viewer, best first, none of `exclude`; fewer when it knows no more. For a viewer whom it does
   * not know it gives what it would give to anybody.
   */
  recommend(
    userId: string,
    nowMs: number,
    k: number,
    exclude: ReadonlySet<string>,
  ): readonly string[];
}

/** The `k` items of the largest finite scores, best first, ties by index; those in `exclude` and −Infinity left out. */
export function topItems(
  scores: Float64Array,
  k: number,
  excluded: (item: number) => boolean,
): number[] {
  // A heap of the k best so far, the worst at its root.
  const heap: number[] = [];
  const worse = (a: number, b: number): boolean =>
    (scores[a] as number) < (scores[b] as number) || (scores[a] === scores[b] && a > b);
  const sink = (): void => {
    let at = 0;
    for (;;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2])
        if (child < heap.length && worse(heap[child] as number, heap[least] as number))
          least = child;
      if (least === at) return;
      [heap[at], heap[least]] = [heap[least] as number, heap[at] as number];
      at = least;
    }
  };
  for (let item = 0; item < scores.length; item++) {
    if (!Number.isFinite(scores[item])) continue;
    if (heap.length === k && !worse(heap[0] as number, item)) continue;
    if (excluded(item)) continue;
    if (heap.length === k) {
      heap[0] = item;
      sink();
      continue;
    }
    heap.push(item);
    for (let at = heap.length - 1; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (!worse(heap[at] as number, heap[parent] as number)) break;
      [heap[at], heap[parent]] = [heap[parent] as number, heap[at] as number];
      at = parent;
    }
  }
  return heap.sort((a, b) => (worse(a, b) ? 1 : -1));
}
