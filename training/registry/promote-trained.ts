import { RoostError } from "../../errors.ts";
import type { BundleManifest } from "../../features/bundle.ts";
import { checkBundle } from "../../features/check-bundle.ts";
import { readChampion } from "../../features/models/champion.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { measureBundle } from "./measure-bundle.ts";
import { promote } from "./promote.ts";

/** What became of a version after its training. */
export interface TrainedPromotion {
  /** The stage's champion now. */
  readonly champion: string;
  /** Why it is another version than the trained one although `promote` was asked for. */
  readonly refused?: string;
}

/** What a training asks for of its versions. */
export interface PromotionWish {
  readonly promote?: boolean;
  /** Set for a warm start, whose validation days the champion was not measured on. */
  readonly sinceMs?: number;
  readonly seed: number;
  readonly metricRounds?: number;
  readonly nowMs: number;
}

/** The champion that can be served; null when there is none. */
export async function usableChampion(stageDir: string): Promise<string | null> {
  try {
    const { manifest } = await readChampion(stageDir);
    checkBundle(manifest);
    return manifest.version;
  } catch (error) {
    if (error instanceof RoostError && error.code === "BAD_BUNDLE") return null;
    throw error;
  }
}

/** Makes a trained version champion where it was asked for and passes the gate, or where a stage has no usable one. */
export async function promoteTrained(
  request: PromotionWish,
  stageDir: string,
  version: string,
  validation: TrainingRows,
): Promise<TrainedPromotion> {
  const champion = await usableChampion(stageDir);
  if (champion !== null && !request.promote) return { champion };
  try {
    const remeasured =
      champion !== null && request.sinceMs !== undefined
        ? await remeasure(stageDir, validation, request)
        : undefined;
    await promote({
      stageDir,
      version,
      action: "train",
      nowMs: request.nowMs,
      ...(remeasured && { remeasured }),
    });
    return { champion: version };
  } catch (error) {
    if (!(error instanceof RoostError && error.code === "PROMOTION_REFUSED")) throw error;
    return { champion: champion as string, refused: error.detail };
  }
}

/** A warm start validates on days that the champion was never measured on: the gate needs both on the same rows. */
async function remeasure(
  stageDir: string,
  validation: TrainingRows,
  { seed, metricRounds = 200 }: PromotionWish,
): Promise<BundleManifest> {
  const { manifest, model } = await readChampion(stageDir);
  return measureBundle(model, manifest, validation, { seed, rounds: Math.max(1, metricRounds) });
}
