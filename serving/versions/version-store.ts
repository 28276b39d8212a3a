import { createHash } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import type { Database, RootDatabase } from "lmdb";
import { openLmdb } from "../../datasets/storage/lmdb.ts";
import { RoostError } from "../../errors.ts";

/** Names, kinds and checksums: they are parts of LMDB keys, of paths and of URLs. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,199}$/;

/** A sort of configuration kept in versions: weights, parameters, rules, experiments. */
export interface ConfigKind<T> {
  /** Kebab-case; part of the stored keys. */
  readonly kind: string;
  /**
   * Reads and checks a text. `path` is only named in problems.
   * @throws RoostError naming every problem of the text
   */
  parse(text: string, path: string): T;
  /** Names the content in logs and answers. Default: SHA-256 of the text, hex. */
  checksum?(value: T): string;
}

/** One immutable text, addressed by its checksum. */
export interface Version {
  readonly kind: string;
  readonly checksum: string;
  readonly text: string;
  /** Where it was first read from. */
  readonly path: string;
  readonly created_ms: number;
}

/** What is in force under a name. `revision` counts moves from 1, so A → B → A is seen as two moves. */
export interface Pointer {
  readonly checksum: string;
  readonly revision: number;
}

/** One move of a pointer. */
export interface AuditLine {
  readonly kind: string;
  readonly name: string;
  readonly revision: number;
  readonly from: string | null;
  readonly to: string;
  /** Who or what moved it: `file:weights.yaml`, `api`, a user's name. */
  readonly by: string;
  readonly at_ms: number;
}

export interface Move {
  readonly kind: string;
  readonly name: string;
  /** The checksum that the mover saw in force; null = none yet. */
  readonly from: string | null;
  readonly to: string;
  readonly by: string;
  readonly nowMs: number;
}

/**
 * Immutable, content-addressed configuration versions, with one `current` pointer per kind and name that is moved by
 * compare-and-swap. Nothing is ever deleted, so a checksum in any log resolves for ever. LMDB's single writer makes the
 * swap atomic across processes; a write is on disk when its promise resolves.
 */
export class VersionStore {
  readonly #root: RootDatabase;
  readonly #versions: Database<Version, string>;
  readonly #pointers: Database<Pointer, [string, string]>;
  readonly #audit: Database<AuditLine, [string, string, number]>;
  readonly #files: Database<string, [string, string]>;
  readonly #kinds: ReadonlyMap<string, ConfigKind<unknown>>;
  #closed = false;
  readonly #listeners = new Set<(kind: string, name: string) => void>();

  /** @param kinds what texts may be put; a text is parsed before it is kept */
  constructor(directory: string, kinds: readonly ConfigKind<unknown>[]) {
    this.#root = openLmdb(directory);
    this.#versions = this.#root.openDB({ name: "versions", encoding: "json" });
    this.#pointers = this.#root.openDB({ name: "pointers", encoding: "json" });
    this.#audit = this.#root.openDB({ name: "audit", encoding: "json" });
    this.#files = this.#root.openDB({ name: "files", encoding: "json" });
    this.#kinds = new Map(kinds.map((kind) => [kind.kind, kind]));
  }

  /**
   * Keeps a text and says its checksum; a known one is left as it is.
   * @throws NOT_FOUND for an unknown kind, and what the kind's `parse` throws
   */
  async put(kind: string, text: string, path: string, nowMs: number): Promise<string> {
    const checksum = this.checksumOf(kind, text, path);
    await this.#versions.ifNoExists(checksum, () => {
      void this.#versions.put(checksum, { kind, checksum, text, path, created_ms: nowMs });
    });
    await this.#root.flushed;
    return checksum;
  }

  /** Checks a text and computes its checksum without keeping it. */
  checksumOf(kind: string, text: string, path: string): string {
    const config = this.#kindNamed(kind);
    const value = config.parse(text, path);
    return config.checksum?.(value) ?? createHash("sha256").update(text).digest("hex");
  }

  resolve(checksum: string): Version | undefined {
    return NAME.test(checksum) ? this.#versions.get(checksum) : undefined;
  }

  current(kind: string, name: string): Pointer | undefined {
    return NAME.test(kind) && NAME.test(name) ? this.#pointers.get([kind, name]) : undefined;
  }

  /** Makes the next read see what other processes wrote: within a turn of the event loop LMDB reads one snapshot. */
  seeOthers(): void {
    this.#root.resetReadTxn();
  }

  /** Every kind and name in force. */
  list(): { readonly kind: string; readonly name: string; readonly pointer: Pointer }[] {
    return [...this.#pointers.getRange()].map(({ key: [kind, name], value: pointer }) => ({
      kind,
      name,
      pointer,
    }));
  }

  /**
   * Puts `to` in force if `from` still is, and writes the audit line in the same transaction.
   * @throws VERSION_CONFLICT when another version is in force, NOT_FOUND when `to` is not kept here,
   * BAD_ARGUMENT when `name` could not be a file's name
   */
  async move({ kind, name, from, to, by, nowMs }: Move): Promise<Pointer> {
    if (!NAME.test(name))
      throw new RoostError("BAD_ARGUMENT", "name: use A–Z a–z 0–9 . _ : - only");
    if (!NAME.test(to)) throw new RoostError("NOT_FOUND", `no ${kind} version has this checksum`);
    const outcome = await this.#root.transaction((): Pointer | string => {
      const version = this.#versions.get(to);
      if (version?.kind !== kind) return "missing";
      const before = this.#pointers.get([kind, name]);
      if ((before?.checksum ?? null) !== from) return before?.checksum ?? "none";
      const pointer = { checksum: to, revision: (before?.revision ?? 0) + 1 };
      void this.#pointers.put([kind, name], pointer);
      void this.#audit.put([kind, name, pointer.revision], {
        kind,
        name,
        revision: pointer.revision,
        from,
        to,
        by,
        at_ms: nowMs,
      });
      return pointer;
    });
    if (outcome === "missing") throw new RoostError("NOT_FOUND", `no ${kind} version ${to}`);
    if (typeof outcome === "string") {
      throw new RoostError(
        "VERSION_CONFLICT",
        `${kind} ${name} is at ${outcome}, not at ${from ?? "none"}`,
      );
    }
    await this.#root.flushed;
    for (const listener of this.#listeners) listener(kind, name);
    return outcome;
  }

  /** Calls `listener` after every move made through this object; gives what ends that. */
  onMove(listener: (kind: string, name: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The audit line of one revision. */
  moveOf(kind: string, name: string, revision: number): AuditLine | undefined {
    return this.#audit.get([kind, name, revision]);
  }

  /** The moves of a pointer, oldest first. */
  audit(kind: string, name: string): AuditLine[] {
    const range = { start: [kind, name, 0], end: [kind, name, Number.MAX_SAFE_INTEGER] } as const;
    return [...this.#audit.getRange(range as never)].map(({ value }) => value);
  }

  /** The checksum that a name's file had when it was last looked at; a file that has not changed since moves nothing. */
  fileSeen(kind: string, name: string): string | undefined {
    return this.#files.get([kind, name]);
  }

  async markFileSeen(kind: string, name: string, checksum: string): Promise<void> {
    await this.#files.put([kind, name], checksum);
  }

  get closed(): boolean {
    return this.#closed;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#root.flushed;
    // lmdb ends a read snapshot by a timer of 0 ms and throws in it if the environment is gone by then.
    await setTimeout(1);
    await this.#root.close();
  }

  #kindNamed(kind: string): ConfigKind<unknown> {
    const config = this.#kinds.get(kind);
    if (config === undefined) {
      const known = [...this.#kinds.keys()].join(", ");
      throw new RoostError("NOT_FOUND", `no configuration kind ${kind}; there are: ${known}`);
    }
    return config;
  }
}
