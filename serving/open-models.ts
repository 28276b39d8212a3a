import { existsSync } from "node:fs";
import type { Logger } from "pino";
import type { DataDir } from "../datasets/storage/data-dir.ts";
import { modelsOf } from "../features/bundle.ts";
import { checkBundle } from "../features/check-bundle.ts";
import { checkWeights } from "../features/check-weights.ts";
import { championFiles, hasChampion, readChampion } from "../features/models/champion.ts";
import type { InferencePoolOptions } from "./inference/inference-pool.ts";
import { ModelSlot } from "./inference/model-slot.ts";
import type { StartSession } from "./inference/start-session.ts";
import type { ModelStage } from "./pipeline/home-query.ts";
import type { RankParts } from "./rank-parts.ts";
import type { Settings } from "./settings.ts";
import { watchFile } from "./versions/watch-file.ts";

export const STAGES = ["light", "heavy"] as const satisfies readonly ModelStage[];
/** Parts of fewer rows cost more in handing over than a second worker saves. */
const SPLIT_ROWS = 150;
/** A model this small scores 1,000 rows in under a millisecond, less than handing them to a worker and back costs. */
export const INLINE_PARAMETERS = 10_000;

/** How the server's worker pools run their models. */
export function poolOptions({
  inferenceWorkers,
  inferenceThreads,
}: Pick<Settings, "inferenceWorkers" | "inferenceThreads">): InferencePoolOptions {
  return { workers: inferenceWorkers, threadsPerRun: inferenceThreads, splitRows: SPLIT_ROWS };
}

/** One slot a stage, filled with its champion where there is one; a new champion takes the place of the old. */
export async function openModels(
  settings: Settings,
  dir: DataDir,
  logger: Logger,
  startSession: StartSession | undefined,
  opened: (() => unknown)[],
): Promise<Record<ModelStage, ModelSlot>> {
  const pool = {
    ...poolOptions(settings),
    inlineParameters: INLINE_PARAMETERS,
    ...(startSession && { startSession }),
  };
  const slots = { light: new ModelSlot(pool), heavy: new ModelSlot(pool) };
  for (const stage of STAGES) {
    const stageDir = `${settings.modelDir ?? dir.at("models")}/${stage}`;
    const load = async (): Promise<void> => {
      const bundle = await readChampion(stageDir);
      if (slots[stage].manifest?.version === bundle.manifest.version) return;
      checkBundle(bundle.manifest);
      for (const model of modelsOf(bundle)) checkWeights(model);
      await slots[stage].replace(bundle);
      logger.info({ stage, version: bundle.manifest.version }, "model in place");
    };
    opened.push(() => slots[stage].close());
    if (await hasChampion(stageDir)) await load();
    else logger.warn({ stage }, "there is no model; the stage is skipped");
    if (!existsSync(stageDir)) continue;
    for (const file of championFiles(stageDir)) {
      const watch = watchFile(file, load, (error) =>
        logger.error(
          { stage, problem: error.message },
          "a new bundle was refused; the old one serves on",
        ),
      );
      opened.push(() => watch.close());
    }
  }
  return slots;
}

/** The models in place, held for one request. */
export function leaseAll(slots: Record<ModelStage, ModelSlot>): ReturnType<RankParts["lease"]> {
  const light = slots.light.lease();
  const heavy = slots.heavy.lease();
  return {
    models: { ...(light && { light }), ...(heavy && { heavy }) },
    release: () => {
      light?.release();
      heavy?.release();
    },
  };
}
