import type { Bundle } from "../../features/bundle.ts";
import { readChampion } from "../../features/models/champion.ts";
import { readVersion } from "../../features/models/versions.ts";
import { usableChampion } from "./promote-trained.ts";

/**
 * The heavy ranker that teaches a training's other models: its own, else the champion; none where that cannot be used, or
 * has learned from rows that the others are measured on.
 * @param version of this training's own
 * @param untilMs first moment that this training does not learn from
 */
export async function heavyTeacher(
  stageDir: string,
  version: string | undefined,
  untilMs: number,
): Promise<Bundle | undefined> {
  if (version !== undefined) return readVersion(stageDir, version);
  if ((await usableChampion(stageDir)) === null) return undefined;
  const champion = await readChampion(stageDir);
  const { rows, to_ms } = champion.manifest.data;
  // Of a model from elsewhere it is not known what it has learned from.
  return rows > 0 && to_ms < untilMs ? champion : undefined;
}
