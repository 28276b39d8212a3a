import { existsSync } from "node:fs";
import type { Logger } from "pino";
import type { DataDir } from "../datasets/storage/data-dir.ts";
import { modelsOf } from "../features/bundle.ts";
import { checkBundle } from "../features/check-bundle.ts";
import { checkWeights } from "../features/check-weights.ts";
import { championFiles, hasChampion, readChampion } from "../features/models/champion.ts";
import { TWO_TOWER } from "../features/tower-bundle.ts";
import type { Settings } from "./settings.ts";
import type { PostVectors } from "./state/post-vectors.ts";
import { watchFile } from "./versions/watch-file.ts";

export interface OpenedTowers {
  /** Begins to load the champion. Not before the rest of a server is there: it takes cores, and nothing waits for it. */
  begin(): void;
  /** Resolves when the champion that was there at the beginning is in place, or was refused. */
  readonly loaded: Promise<void>;
  close(): Promise<void>;
}

/**
 * Puts the champion of `two_tower` in place and follows it. Its index is restored or built in the background: until then
 * the source of that name is reported as degraded. A champion that cannot be used is refused in the log; what served
 * before serves on.
 */
export async function openTowers(
  settings: Settings,
  dir: DataDir,
  logger: Logger,
  vectors: PostVectors,
): Promise<OpenedTowers> {
  const stageDir = `${settings.modelDir ?? dir.at("models")}/${TWO_TOWER}`;
  const refused = (error: Error): void =>
    logger.error(
      { stage: TWO_TOWER, problem: error.message },
      "towers were refused; posts are retrieved as before",
    );
  const load = async (): Promise<void> => {
    const bundle = await readChampion(stageDir);
    if (vectors.version === bundle.manifest.version) return;
    checkBundle(bundle.manifest);
    for (const model of modelsOf(bundle)) checkWeights(model);
    await vectors.replace(bundle);
  };
  const there = await hasChampion(stageDir);
  if (there) vectors.expect();
  else logger.info("there are no towers; strangers' posts come from the popular ones alone");
  let start = (): void => {};
  let begun = false;
  const loaded = new Promise<void>((resolve) => {
    start = () => {
      if (begun) return;
      begun = true;
      resolve(there ? load().catch(refused) : undefined);
    };
  });
  const watches = existsSync(stageDir)
    ? championFiles(stageDir).map((file) => watchFile(file, load, refused))
    : [];
  return {
    begin: () => start(),
    loaded,
    close: async () => {
      for (const watch of watches) await watch.close();
    },
  };
}
