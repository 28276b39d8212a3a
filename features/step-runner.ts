import type { KeptRows } from "./kept-rows.ts";
import type { AloneSteps, ReadStep } from "./read-plan.ts";
import { emptyContext } from "./row-context.ts";

/** Writes what families make of one context into rows. */
export class StepRunner {
  readonly context = emptyContext();
  readonly #scratch: Float32Array;

  /** @param widest values that a family writes at the most */
  constructor(widest: number) {
    this.#scratch = new Float32Array(widest);
  }

  run(step: ReadStep, target: Float32Array, start: number): void {
    if (step.direct >= 0) {
      step.read(this.context, step.at, target, start + step.direct);
      return;
    }
    step.read(this.context, step.at, this.#scratch, 0);
    const { wanted, targets } = step;
    for (let i = 0; i < targets.length; i++)
      target[start + (targets[i] as number)] = this.#scratch[wanted[i] as number] as number;
  }

  /** Writes what depends on the context's post or author alone: as it was kept, or to be kept, where somebody keeps it. */
  runAlone(
    alone: AloneSteps,
    target: Float32Array,
    start: number,
    kept: KeptRows | undefined,
  ): void {
    const { steps, columns } = alone;
    if (columns.length === 0) return;
    const known = kept?.find(alone);
    if (known !== undefined) {
      for (let i = 0; i < columns.length; i++)
        target[start + (columns[i] as number)] = known[i] as number;
      return;
    }
    const { context } = this;
    const { nowMs } = context;
    if (kept !== undefined) context.nowMs = kept.nowMs;
    for (let s = 0; s < steps.length; s++) this.run(steps[s] as ReadStep, target, start);
    context.nowMs = nowMs;
    if (kept === undefined) return;
    const values = new Float32Array(columns.length);
    for (let i = 0; i < columns.length; i++)
      values[i] = target[start + (columns[i] as number)] as number;
    kept.keep(alone, values);
  }
}
