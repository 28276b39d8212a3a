/** Work that follows answers: begun on a later turn of the event loop, waited for when the server ends. */
export class AfterAnswers {
  readonly #underway = new Set<Promise<void>>();
  readonly #onError: (error: unknown) => void;

  /** @param onError told of work that failed: nobody waits for its answer any more */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  /** Begins `work` once what is being answered now could be sent. */
  begin(work: () => Promise<unknown>): void {
    const done = new Promise<void>((resolve) => setImmediate(resolve))
      .then(work)
      .then(() => {}, this.#onError)
      .finally(() => this.#underway.delete(done));
    this.#underway.add(done);
  }

  /** Resolves when nothing is under way, also not what was begun meanwhile. */
  async settled(): Promise<void> {
    while (this.#underway.size > 0) await Promise.all(this.#underway);
  }
}
