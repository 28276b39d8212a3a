import { type FSWatcher, watch } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";

/** Editors write in several steps; what is read between two of them is not the edit. */
const SETTLE_MS = 50;

export interface FileWatch {
  /** Reads now, as if the file had changed. */
  check(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Calls `onText` with the file's text after every change, one call at a time. It watches the directory, because an
 * editor that replaces by rename leaves a watch on the file itself at the old inode. A file that is gone is no change.
 */
export function watchFile(
  path: string,
  onText: (text: string) => Promise<void>,
  onError: (error: Error) => void,
): FileWatch {
  const file = resolve(path);
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
  const watcher: FSWatcher = watch(dirname(file), { persistent: false }, (_event, changed) => {
    // Some file systems do not say what changed.
    if (changed !== null && changed !== name) return;
    clearTimeout(timer);
    timer = setTimeout(() => void check(), SETTLE_MS);
  });
  watcher.on("error", onError);
  return {
    check,
    async close() {
      closed = true;
      clearTimeout(timer);
      watcher.close();
      await turn;
    },
  };
}
