const WIDTH = 30;

/** A progress bar per step on a terminal; one line per finished step elsewhere. */
export class Progress {
  readonly #out: NodeJS.WriteStream;
  #step = "";
  #startedAtMs = 0;
  readonly #now: () => number;

  constructor(out: NodeJS.WriteStream, now: () => number) {
    this.#out = out;
    this.#now = now;
  }

  /** @param share done of the step, 0–1 */
  update(step: string, share: number): void {
    if (step !== this.#step) {
      this.done();
      this.#step = step;
      this.#startedAtMs = this.#now();
    }
    if (this.#out.isTTY) this.#out.write(`\r${this.#line(Math.min(1, Math.max(0, share)))}`);
  }

  /** Ends the running step. */
  done(): void {
    if (this.#step === "") return;
    this.#out.write(`${this.#out.isTTY ? "\r" : ""}${this.#line(1)}\n`);
    this.#step = "";
  }

  #line(share: number): string {
    const filled = Math.round(share * WIDTH);
    const bar = `${"█".repeat(filled)}${"·".repeat(WIDTH - filled)}`;
    const seconds = ((this.#now() - this.#startedAtMs) / 1000).toFixed(1);
    return `${this.#step.padEnd(24)} ${bar} ${String(Math.round(share * 100)).padStart(3)} %  ${seconds} s`;
  }
}
