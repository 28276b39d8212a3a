import { type FSWatcher, statSync, watch } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";

/** Editors write in several steps; what is read between two of them is not the edit. */
const SETTLE_MS = 50;

export interface FileWatch {
  /** Reads now, as if the file had changed. */
  check(): Promise<void>;
  close(): Promise<void>;
}

/** A directory that is replaced is absent for an instant. */
const RETRY_MS = 200;

/**
 * Calls `onText` with the file's text after every change, one call at a time. It watches the directory, because an
 * editor that replaces by rename leaves a watch on the file itself at the old inode; a directory that is itself replaced
 * (a model bundle is) is watched anew. A file that is gone is no change.
 */
export function watchFile(
  path: string,
  onText: (text: string) => Promise<void>,
  onError: (error: Error) => void,
): FileWatch {
  const file = resolve(path);
  const directory = dirname(file);
  const name = basename(file);
  let timer: NodeJS.Timeout | undefined;
  let turn: Promise<void> = Promise.resolve();
  let closed = false;

  const read = async (): Promise<void> => {
    if (closed) return;
    try {
      await onText(await readFile(file, "utf8"));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") onError(error as Error);
    }
  };
  const check = (): Promise<void> => {
    turn = turn.then(read);
    return turn;
  };
  const after = (ms: number): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (follow()) void check();
      else after(RETRY_MS);
    }, ms);
  };
  const watchDirectory = (): { inode: number; watcher: FSWatcher } => {
    const { ino: inode } = statSync(directory);
    const watcher = watch(directory, { persistent: false }, (_event, changed) => {
      // Some file systems do not say what changed; a directory that goes away says its own name.
      if (changed !== null && changed !== name && changed !== basename(directory)) return;
      after(SETTLE_MS);
    });
    watcher.on("error", onError);
    return { inode, watcher };
  };
  /** Watches the directory that stands there now; false while there is none. */
  const follow = (): boolean => {
    if (statSync(directory, { throwIfNoEntry: false })?.ino === watched.inode) return true;
    try {
      const next = watchDirectory();
      watched.watcher.close();
      watched = next;
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") onError(error as Error);
      return false;
    }
  };
  let watched = watchDirectory();
  return {
    check,
    async close() {
      closed = true;
      clearTimeout(timer);
      watched.watcher.close();
      await turn;
    },
  };
}
