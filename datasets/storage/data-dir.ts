import { accessSync, constants, existsSync, mkdirSync, statSync } from "node:fs";
import path from "node:path";
import { RoostError } from "../../errors.ts";
import { takeLockFile } from "./lock-file.ts";
import { finishReplacement } from "./replacement.ts";

/** The directory of one space: everything that a Roost process keeps on disk. */
export interface DataDir {
  readonly path: string;
  readonly readOnly: boolean;
  /** LMDB environment of the event log. */
  readonly log: string;
  /** Parquet segments. */
  readonly segments: string;
  /** A path inside. */
  at(...names: string[]): string;
  /** Gives up ownership. Harmless when called twice. */
  close(): void;
}

/**
 * Opens a data directory. `own` makes it if needed and takes its `lock` file, so that only one process writes, and
 * finishes a replacement of files that a crash interrupted; `read` opens what is there beside an owner.
 * @throws DATA_DIR_LOCKED when a living process owns it
 * @throws BAD_ARGUMENT when it is no usable directory
 */
export function openDataDir(dir: string, mode: "own" | "read"): DataDir {
  const absolute = path.resolve(dir);
  usable(absolute, mode);
  let close = (): void => {};
  if (mode === "own") {
    const lockFile = path.join(absolute, "lock");
    const lock = takeLockFile(lockFile);
    if (!lock.taken) {
      const owner = lock.owner
        ? `process ${lock.owner.pid} on ${lock.owner.host}`
        : "a process that is starting or stopping";
      throw new RoostError(
        "DATA_DIR_LOCKED",
        `${owner} holds ${lockFile}; if that host is gone, remove the file`,
      );
    }
    close = lock.release;
    try {
      finishReplacement(absolute);
    } catch (error) {
      close();
      throw error;
    }
  }
  return {
    path: absolute,
    readOnly: mode === "read",
    log: path.join(absolute, "log"),
    segments: path.join(absolute, "segments"),
    at: (...names) => path.join(absolute, ...names),
    close,
  };
}

function usable(dir: string, mode: "own" | "read"): void {
  if (mode === "read" && !existsSync(dir))
    throw new RoostError("BAD_ARGUMENT", `the data directory ${dir} does not exist`);
  try {
    if (mode === "own") mkdirSync(dir, { recursive: true });
    accessSync(dir, mode === "own" ? constants.W_OK | constants.X_OK : constants.R_OK);
  } catch (cause) {
    throw new RoostError("BAD_ARGUMENT", `the data directory ${dir} cannot be used`, cause);
  }
  if (!statSync(dir).isDirectory())
    throw new RoostError("BAD_ARGUMENT", `the data directory ${dir} is a file`);
}
