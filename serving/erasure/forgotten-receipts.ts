import { existsSync } from "node:fs";
import { mkdir, open, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Deletion } from "../state/live-state.ts";
import { receiptHash } from "./erase-users.ts";

/**
 * What a running server states of a deleted user, kept in `erasures/`: all that it serves from reflects the deletion. The
 * user's records are in log and segments until `roost erase`, which gives a receipt of its own. Whose it is can be checked by
 * it, not read from it.
 */
export interface ForgottenReceipt {
  readonly format: 1;
  readonly kind: "forgotten";
  /** SHA-256 of salt and id, hex. Ids are guessable: keep receipts from whoever must not learn of it. */
  readonly user_sha256: string;
  readonly salt: string;
  readonly deleted_at: string;
  readonly forgotten_at: string;
  /** Of the record that told of the deletion. */
  readonly log_position: number;
  /** Each part that held something of the user, and the last record that it reflects. */
  readonly parts: Readonly<Record<string, number>>;
}

export interface ForgottenReceiptsOptions {
  /** Each part that holds something of users, and the last record that it reflects; read when a receipt is written. */
  readonly parts: () => Readonly<Record<string, number>>;
  readonly wallMs: () => number;
  /** Random text, new for every receipt. */
  readonly salt: () => string;
  readonly onError: (error: unknown) => void;
}

const LOOK_AGAIN_MS = 50;
/** A server that ends waits so long at most: what it did not write the next one does, if a part was behind. */
const LONGEST_CLOSING_MS = 2_000;

/**
 * Writes a receipt for each deleted user once every part reflects the deletion. A record that is applied again after a crash
 * gives no second one.
 */
export class ForgottenReceipts {
  readonly #dir: string;
  readonly #options: ForgottenReceiptsOptions;
  readonly #closing = new AbortController();
  #settled: () => Promise<unknown> = () => Promise.resolve();
  #begin = (): void => {};
  #hasBegun = false;
  #writing: Promise<void>;

  /** @param dir the data directory */
  constructor(dir: string, options: ForgottenReceiptsOptions) {
    this.#dir = dir;
    this.#options = options;
    this.#writing = new Promise((resolve) => {
      this.#begin = resolve;
    });
  }

  /**
   * Begins to write: deletions may be taken before all parts are open.
   * @param settled resolves when what parts do in the background is done for the records that they had by then
   */
  begin(settled: () => Promise<unknown>): void {
    this.#settled = settled;
    this.#hasBegun = true;
    this.#begin();
  }

  /** Takes a deletion that the state has applied. */
  take(event: Deletion): void {
    this.#writing = this.#writing
      .then(() => this.#write(event))
      .catch((error: unknown) => this.#options.onError(error));
  }

  /** Resolves when all that were due are written, or after a short while. */
  async close(): Promise<void> {
    if (this.#hasBegun)
      await Promise.race([this.#writing, delay(LONGEST_CLOSING_MS, undefined, { ref: false })]);
    this.#closing.abort();
    this.#begin();
    await this.#writing;
  }

  async #write({ user_id, time_ms, seq }: Deletion): Promise<void> {
    const path = join(this.#dir, "erasures", `forgotten-${seq}.json`);
    const { signal } = this.#closing;
    if (signal.aborted || existsSync(path)) return;
    const ended = new Promise<void>((resolve) =>
      signal.addEventListener("abort", () => resolve(), { once: true }),
    );
    await Promise.race([this.#settled(), ended]);
    while (!signal.aborted && this.#isBehind(seq)) await delay(LOOK_AGAIN_MS);
    if (signal.aborted) return;
    const salt = this.#options.salt();
    const receipt: ForgottenReceipt = {
      format: 1,
      kind: "forgotten",
      user_sha256: receiptHash(user_id, salt),
      salt,
      deleted_at: new Date(time_ms).toISOString(),
      forgotten_at: new Date(this.#options.wallMs()).toISOString(),
      log_position: seq,
      parts: this.#options.parts(),
    };
    await keep(path, `${JSON.stringify(receipt, null, 2)}\n`);
  }

  #isBehind(seq: number): boolean {
    return Object.values(this.#options.parts()).some((position) => position < seq);
  }
}

/** Writes a file whole or not at all. */
async function keep(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const draft = `${path}.partial`;
  const file = await open(draft, "w");
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
}
