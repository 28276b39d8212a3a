import { WORLD_HEADS } from "../../datasets/heads.ts";
import type { World } from "../../datasets/world/world.ts";
import { WORLD_WEIGHTS } from "../../datasets/world/world-weights.ts";

/** What the oracle would think of each post if its hidden parts were as expected. */
export function visibleValues(
  world: World,
  userId: string,
  postIds: readonly string[],
  context: Parameters<World["visibleProbabilities"]>[2],
): Float64Array {
  const p = world.visibleProbabilities(userId, postIds, context);
  const width = p.length / postIds.length;
  const weights = WORLD_HEADS.map((head) => WORLD_WEIGHTS[head] ?? 0);
  return Float64Array.from(postIds, (_, i) =>
    weights.reduce((sum, weight, h) => sum + weight * (p[i * width + h] as number), 0),
  );
}
