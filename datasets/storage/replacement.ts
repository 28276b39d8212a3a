import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { RoostError } from "../../errors.ts";

/** Files of a data directory that change together. Paths are relative to it. */
export interface Replacement {
  /** Prepared under these paths in `replacementDir`; each takes the place of its namesake. */
  readonly files: readonly string[];
  /** Files and directories that go. */
  readonly removed: readonly string[];
}

/** Where the files of a replacement are prepared. */
export const replacementDir = (dataDir: string): string => path.join(dataDir, "replacing");
const readyFile = (dataDir: string): string => path.join(replacementDir(dataDir), "ready.json");

/**
 * Makes a prepared replacement happen. From the moment when `ready.json` stands it will, whatever crashes: the next
 * owner of the directory finishes it. Before that moment nothing has changed. For the owner of the directory only.
 */
export function commitReplacement(dataDir: string, replacement: Replacement): void {
  const prepared = replacementDir(dataDir);
  for (const file of replacement.files) fsync(path.join(prepared, file));
  const pending = `${readyFile(dataDir)}.partial`;
  writeFileSync(pending, JSON.stringify(replacement));
  fsync(pending);
  renameSync(pending, readyFile(dataDir));
  fsync(prepared);
  finishReplacement(dataDir);
}

/**
 * Finishes a replacement that a crash interrupted, or throws away one that was still being prepared. Harmless when there
 * is none.
 * @throws BAD_STORE when its list of files cannot be read
 */
export function finishReplacement(dataDir: string): void {
  const prepared = replacementDir(dataDir);
  if (!existsSync(prepared)) return;
  if (existsSync(readyFile(dataDir))) {
    const { files, removed } = readReady(dataDir);
    for (const name of removed) rmSync(path.join(dataDir, name), { recursive: true, force: true });
    for (const file of files) {
      const target = path.join(dataDir, file);
      // Renamed already, by the run that was interrupted.
      if (!existsSync(path.join(prepared, file))) continue;
      mkdirSync(path.dirname(target), { recursive: true });
      renameSync(path.join(prepared, file), target);
      fsync(path.dirname(target));
    }
    fsync(dataDir);
    rmSync(readyFile(dataDir));
  }
  rmSync(prepared, { recursive: true });
}

function readReady(dataDir: string): Replacement {
  try {
    return JSON.parse(readFileSync(readyFile(dataDir), "utf8")) as Replacement;
  } catch (cause) {
    throw new RoostError("BAD_STORE", `${readyFile(dataDir)} cannot be read`, cause);
  }
}

function fsync(file: string): void {
  const handle = openSync(file, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
