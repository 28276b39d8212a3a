import { statSync } from "node:fs";
import { join } from "node:path";
import { open, type RootDatabase } from "lmdb";
import { RoostError } from "../../errors.ts";
import { lmdbFileProblem } from "./lmdb-file.ts";

/**
 * Opens (or makes) an LMDB environment in the directory `dir`. A resolved write is durable here: commit and fsync are
 * one step, so no reader ever sees what a power cut could take back. Many processes may open it, one may write.
 * @throws BAD_STORE when the directory cannot be opened, its file is damaged, or does not exist and `readOnly` is set
 */
export function openLmdb(
  dir: string,
  options: { readOnly?: boolean; maxDbs?: number } = {},
): RootDatabase {
  try {
    const file = join(dir, "data.mdb");
    const problem = lmdbFileProblem(file);
    if (problem !== undefined) throw new RoostError("BAD_STORE", problem);
    // LMDB begins an empty file anew; a reader cannot, and would end the process.
    if (options.readOnly && statSync(file).size === 0)
      throw new RoostError("BAD_STORE", `${file} is empty`);
    return open({
      path: dir,
      readOnly: options.readOnly ?? false,
      // lmdb-js syncs after the commit by default: faster under one writer, but then `await put` is not durable.
      // Concurrent writes still share one transaction and one fsync.
      overlappingSync: false,
      // Named databases of one environment; a slot costs a few bytes.
      maxDbs: options.maxDbs ?? 32,
      // A directory name with a dot (`.roost/log.v1`) would otherwise be taken for a file.
      noSubdir: false,
    });
  } catch (cause) {
    if (cause instanceof RoostError) throw cause;
    throw new RoostError("BAD_STORE", `${dir}: ${(cause as Error).message}`, cause);
  }
}
