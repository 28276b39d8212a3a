import type { AloneSteps } from "./read-plan.ts";

/**
 * What readers made of one post's or one author's vector alone, as of one moment, for others who ask about that moment's
 * vector: so that a vector which counts as fresh for a while is computed with once, not once a request.
 */
export class KeptRows {
  /** The moment that ages and decays are told by, epoch ms. */
  readonly nowMs: number;
  /** The first's here, without another object to wait for; few have a second. */
  #steps: AloneSteps | undefined;
  #values: Float32Array | undefined;
  #next: KeptRows | undefined;

  constructor(nowMs: number) {
    this.nowMs = nowMs;
  }

  /** What was kept of these steps, in the order of their columns. They are a reader's own: two readers find nothing of each other's. */
  find(steps: AloneSteps): Float32Array | undefined {
    return this.#steps === steps ? this.#values : this.#next?.find(steps);
  }

  keep(steps: AloneSteps, values: Float32Array): void {
    if (this.#steps === undefined) {
      this.#steps = steps;
      this.#values = values;
      return;
    }
    this.#next ??= new KeptRows(this.nowMs);
    this.#next.keep(steps, values);
  }
}
