import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { BundleManifest } from "../features/bundle.ts";
import { readVersion } from "../features/models/versions.ts";

/** Which rankers of an interrupted training are published already. */
export interface FinishedRankers {
  /** The published version of `kind` when this very run made it and it is intact, or undefined. */
  find(kind: string, stageDir: string): Promise<BundleManifest | undefined>;
  note(kind: string, manifest: BundleManifest): Promise<void>;
  /** Forgets all: the training is over. */
  clear(): Promise<void>;
}

/**
 * Notes in `<dir>/finished.json`, written by rename. Notes of another run are passed over.
 * @param decides everything that decides the bundles' bytes: data, split, features, options, seed
 */
export function finishedRankers(dir: string, decides: unknown): FinishedRankers {
  const path = join(dir, "finished.json");
  const run = createHash("sha256").update(JSON.stringify(decides)).digest("hex");
  const read = async (): Promise<Record<string, string>> => {
    const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "{}";
      throw error;
    });
    const noted = JSON.parse(text) as { run?: string; versions?: Record<string, string> };
    return noted.run === run ? (noted.versions ?? {}) : {};
  };
  return {
    async find(kind, stageDir) {
      const version = (await read())[kind];
      if (version === undefined) return undefined;
      const bundle = await readVersion(stageDir, version).catch(() => undefined);
      return bundle?.manifest;
    },
    async note(kind, { version }) {
      const versions = { ...(await read()), [kind]: version };
      await mkdir(dir, { recursive: true });
      await writeFile(`${path}.partial`, JSON.stringify({ run, versions }));
      await rename(`${path}.partial`, path);
    },
    clear: () => rm(path, { force: true }),
  };
}
