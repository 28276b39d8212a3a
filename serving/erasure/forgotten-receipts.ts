import { existsSync, readdirSync } from "node:fs";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Deletion } from "../state/live-state.ts";
import { receiptHash } from "./erase-users.ts";

/** A deletion that is to be stated. */
interface Pending {
  readonly format: 1;
  readonly kind: "forgotten";
  /** SHA-256 of salt and id, hex. Ids are guessable: keep receipts from whoever must not learn of it. */
  readonly user_sha256: string;
  readonly salt: string;
  /** By the record's own time. */
  readonly deleted_at: string;
  /** Of the record that told of the deletion. */
  readonly log_position: number;
}

/**
 * What a running server states of a deleted user, kept in `erasures/`: all that it serves from reflects the deletion. The
 * user's records are in log and segments until `roost erase`, which gives a receipt of its own. Whose it is can be checked by
 * it, not read from it.
 */
export interface ForgottenReceipt extends Pending {
  /** By the machine's clock. */
  readonly forgotten_at: string;
  /** The last record that each part which follows the log reflects. */
  readonly parts: Readonly<Record<string, number>>;
}

export interface ForgottenReceiptsOptions {
  /** The last record that each part which follows the log reflects; read when a receipt is written. */
  readonly parts: () => Readonly<Record<string, number>>;
  readonly wallMs: () => number;
  /** Random text, new for every receipt. */
  readonly salt: () => string;
  readonly onError: (error: unknown) => void;
}

const LOOK_AGAIN_MS = 50;
/** A server that ends waits so long at most: what it did not state, the next one does. */
const LONGEST_CLOSING_MS = 2_000;
const PENDING = ".pending";

/**
 * Writes a receipt for each deleted user once every part reflects the deletion. What is due is on disk before the deletion
 * counts as applied, so that a server that is killed or cannot write leaves it to the next; a record that is applied again
 * gives no second one.
 */
export class ForgottenReceipts {
  readonly #dir: string;
  readonly #options: ForgottenReceiptsOptions;
  #settled: () => Promise<unknown> = () => Promise.resolve();
  #begin = (): void => {};
  #hasBegun = false;
  #isClosed = false;
  #close = (): void => {};
  readonly #closed = new Promise<void>((resolve) => {
    this.#close = resolve;
  });
  #writing: Promise<void>;

  /** @param dir the data directory */
  constructor(dir: string, options: ForgottenReceiptsOptions) {
    this.#dir = join(dir, "erasures");
    this.#options = options;
    this.#writing = new Promise((resolve) => {
      this.#begin = resolve;
    });
  }

  /**
   * Begins to write, what earlier servers left first: deletions may be taken before all parts are open.
   * @param settled resolves when what parts do in the background is done for the records that they had by then
   */
  begin(settled: () => Promise<unknown>): void {
    const left = existsSync(this.#dir) ? readdirSync(this.#dir) : [];
    for (const file of left) if (file.endsWith(PENDING)) this.#due(file.slice(0, -PENDING.length));
    this.#settled = settled;
    this.#hasBegun = true;
    this.#begin();
  }

  /** Takes a deletion that the state has applied. */
  async take({ user_id, time_ms, seq }: Deletion): Promise<void> {
    const name = `forgotten-${seq}`;
    if (existsSync(this.#path(name)) || existsSync(this.#path(name, PENDING))) return;
    const salt = this.#options.salt();
    const pending: Pending = {
      format: 1,
      kind: "forgotten",
      user_sha256: receiptHash(user_id, salt),
      salt,
      deleted_at: new Date(time_ms).toISOString(),
      log_position: seq,
    };
    try {
      await keep(this.#path(name, PENDING), pending);
    } catch (error) {
      this.#options.onError(error);
      return;
    }
    // What is there at the beginning is found then.
    if (this.#hasBegun) this.#due(name);
  }

  /** Resolves when all that were due are written, or after a short while. */
  async close(): Promise<void> {
    if (this.#hasBegun)
      await Promise.race([this.#writing, delay(LONGEST_CLOSING_MS, undefined, { ref: false })]);
    this.#isClosed = true;
    this.#close();
    this.#begin();
    await this.#writing;
  }

  #due(name: string): void {
    this.#writing = this.#writing
      .then(() => this.#state(name))
      .catch((error: unknown) => this.#options.onError(error));
  }

  async #state(name: string): Promise<void> {
    if (this.#isClosed) return;
    const pending = JSON.parse(await readFile(this.#path(name, PENDING), "utf8")) as Pending;
    await Promise.race([this.#settled(), this.#closed]);
    while (!this.#isClosed && this.#isBehind(pending.log_position)) await delay(LOOK_AGAIN_MS);
    if (this.#isClosed) return;
    const receipt: ForgottenReceipt = {
      ...pending,
      forgotten_at: new Date(this.#options.wallMs()).toISOString(),
      parts: this.#options.parts(),
    };
    await keep(this.#path(name), receipt);
    await rm(this.#path(name, PENDING));
  }

  #isBehind(seq: number): boolean {
    return Object.values(this.#options.parts()).some((position) => position < seq);
  }

  #path(name: string, ending = ".json"): string {
    return join(this.#dir, `${name}${ending}`);
  }
}

/** Writes a document whole or not at all. */
async function keep(path: string, document: unknown): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const draft = `${path}.partial`;
  const file = await open(draft, "w");
  try {
    await file.writeFile(`${JSON.stringify(document, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
}
