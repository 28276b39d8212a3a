import { RoostError } from "../../errors.ts";
import type { ConfigKind, VersionStore } from "./version-store.ts";

/** What is in force: never changed after it is made, so a request that holds one keeps it to its end. */
export interface Snapshot<T> {
  readonly kind: string;
  readonly name: string;
  readonly checksum: string;
  readonly revision: number;
  readonly value: T;
}

/** What to tell of a reload. Nothing is thrown at readers: an invalid edit leaves the old version in force. */
export interface ReloadReport {
  loaded?(snapshot: Snapshot<unknown>, from: string | null, by: string): void;
  refused?(error: RoostError, by: string): void;
}

/**
 * One named configuration of a running server. `current()` is a field read; `offer` and `refresh` replace the snapshot
 * whole, one after the other, whoever asks.
 */
export class LiveConfig<T> {
  readonly #store: VersionStore;
  readonly #kind: ConfigKind<T>;
  readonly #name: string;
  readonly #report: ReloadReport;
  #snapshot: Snapshot<T> | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(store: VersionStore, kind: ConfigKind<T>, name: string, report: ReloadReport = {}) {
    this.#store = store;
    this.#kind = kind;
    this.#name = name;
    this.#report = report;
    const pointer = store.current(kind.kind, name);
    if (pointer !== undefined) {
      this.#snapshot = this.#read(pointer.checksum, pointer.revision);
      const by = store.moveOf(kind.kind, name, pointer.revision)?.by ?? "unknown";
      report.loaded?.(this.#snapshot, null, by);
    }
    store.onMove((movedKind, movedName) => {
      if (movedKind === kind.kind && movedName === name) void this.#follow();
    });
  }

  /** Whether any version is in force. */
  get inForce(): boolean {
    return this.#snapshot !== undefined;
  }

  /** @throws NOT_READY before a first version is in force */
  current(): Snapshot<T> {
    if (this.#snapshot === undefined) {
      throw new RoostError(
        "NOT_READY",
        `no ${this.#kind.kind} version of ${this.#name} is in force`,
      );
    }
    return this.#snapshot;
  }

  /**
   * Puts a text in force. `from` = the checksum that the caller believes in force; by default whatever is.
   * @throws VERSION_CONFLICT when another is; what the kind's `parse` throws
   */
  offer(
    text: string,
    path: string,
    by: string,
    nowMs: number,
    from?: string | null,
  ): Promise<Snapshot<T>> {
    return this.#inTurn(async () => {
      const kind = this.#kind.kind;
      const before = this.#store.current(kind, this.#name)?.checksum ?? null;
      const to = await this.#store.put(kind, text, path, nowMs);
      const expected = from === undefined ? before : from;
      if (to !== before || expected !== before) {
        await this.#store.move({ kind, name: this.#name, from: expected, to, by, nowMs });
      }
      return this.#adopt();
    });
  }

  /**
   * Takes a file's text as its editor saved it: nothing if it is as it was when last looked at, even before a restart,
   * so that a move by other means outlives the unchanged file. A refused edit is reported once and the old stays.
   */
  async offerFile(text: string, path: string, nowMs: number): Promise<void> {
    const by = `file:${path}`;
    try {
      const checksum = this.#store.checksumOf(this.#kind.kind, text, path);
      if (this.#store.fileSeen(this.#kind.kind, this.#name) === checksum) return;
      await this.offer(text, path, by, nowMs);
      await this.#store.markFileSeen(this.#kind.kind, this.#name, checksum);
    } catch (error) {
      if (!(error instanceof RoostError)) throw error;
      this.#report.refused?.(error, by);
    }
  }

  /** Follows a move that another process made; moves of this process are followed by themselves. */
  refresh(): Promise<Snapshot<T>> {
    return this.#inTurn(async () => {
      if (this.#store.closed) return this.current();
      this.#store.seeOthers();
      return this.#adopt();
    });
  }

  async #follow(): Promise<void> {
    try {
      await this.refresh();
    } catch (error) {
      if (!(error instanceof RoostError)) throw error;
      this.#report.refused?.(error, "store");
    }
  }

  #adopt(): Snapshot<T> {
    const pointer = this.#store.current(this.#kind.kind, this.#name);
    if (pointer === undefined) return this.current();
    const before = this.#snapshot;
    if (before?.revision === pointer.revision) return before;
    const snapshot = this.#read(pointer.checksum, pointer.revision);
    this.#snapshot = snapshot;
    const move = this.#store.moveOf(this.#kind.kind, this.#name, pointer.revision);
    this.#report.loaded?.(snapshot, before?.checksum ?? null, move?.by ?? "unknown");
    return snapshot;
  }

  #read(checksum: string, revision: number): Snapshot<T> {
    const version = this.#store.resolve(checksum);
    if (version === undefined) throw new RoostError("NOT_FOUND", `${this.#kind.kind} ${checksum}`);
    const value = this.#kind.parse(version.text, version.path);
    return Object.freeze({ kind: this.#kind.kind, name: this.#name, checksum, revision, value });
  }

  /** One reload at a time, so that a later one never loses to an earlier one. */
  #inTurn<R>(work: () => Promise<R>): Promise<R> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }
}
