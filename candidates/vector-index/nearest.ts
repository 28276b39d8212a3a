/**
 * Keeps the `k` largest of a stream of scores with their numbers, in a binary heap whose root is the least kept.
 * Equal scores: the earlier pushed stay.
 */
export class Nearest {
  readonly #scores: Float32Array;
  readonly #items: Int32Array;
  #size = 0;

  constructor(k: number) {
    this.#scores = new Float32Array(k);
    this.#items = new Int32Array(k);
  }

  push(item: number, score: number): void {
    const [scores, items] = [this.#scores, this.#items];
    if (this.#size < scores.length) {
      let at = this.#size++;
      while (at > 0) {
        const parent = (at - 1) >> 1;
        if ((scores[parent] as number) <= score) break;
        scores[at] = scores[parent] as number;
        items[at] = items[parent] as number;
        at = parent;
      }
      scores[at] = score;
      items[at] = item;
      return;
    }
    if (!(score > (scores[0] as number))) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#size) break;
      if (child + 1 < this.#size && (scores[child + 1] as number) < (scores[child] as number))
        child++;
      if ((scores[child] as number) >= score) break;
      scores[at] = scores[child] as number;
      items[at] = items[child] as number;
      at = child;
    }
    scores[at] = score;
    items[at] = item;
  }

  /** What was kept, largest first; ties by item number. */
  sorted(): { items: Int32Array; scores: Float32Array } {
    const order = Array.from({ length: this.#size }, (_, i) => i).sort(
      (a, b) =>
        (this.#scores[b] as number) - (this.#scores[a] as number) ||
        (this.#items[a] as number) - (this.#items[b] as number),
    );
    return {
      items: Int32Array.from(order, (i) => this.#items[i] as number),
      scores: Float32Array.from(order, (i) => this.#scores[i] as number),
    };
  }
}
