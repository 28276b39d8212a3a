import { compareIds } from "../../datasets/ids.ts";
import type { World } from "../../datasets/world/world.ts";
import { WORLD_WEIGHTS } from "../../datasets/world/world-weights.ts";
import { PARAMS } from "../params.ts";
import { retrievable } from "../state/post-vectors.ts";
import { type RequestValues, slateValue } from "./gain-share.ts";
import type { Moment } from "./held-out.ts";
import { visibleValues } from "./visible-value.ts";

/**
 * What slates are worth when not the merged candidates but every eligible post could be shown: the merged ones and all
 * unseen posts and replies by strangers of the last `max_age_hours`. `full` is the pipeline's page, `merged_oracle` the best of
 * what the sources brought: what it lacks of `oracle` was lost before ranking.
 * @param merged the candidates' ids, `page` rows of them, `values` their true values
 */
export function everywhere(
  world: World,
  { broadcast, viewers }: Moment,
  userId: string,
  timeMs: number,
  merged: readonly string[],
  page: ArrayLike<number>,
  values: Float64Array,
): RequestValues["values"] {
  const { posts, graph, history } = broadcast;
  const oldestMs = timeMs - PARAMS.max_age_hours.default * 3_600_000;
  const followed = graph.following(userId);
  const seen = history.seen(userId);
  const ids = [...merged];
  const known = new Set(merged);
  for (const post of posts.values()) {
    const { postId, authorId, createdAtMs } = post;
    if (!retrievable(post) || createdAtMs < oldestMs || createdAtMs > timeMs) continue;
    if (known.has(postId) || followed.has(authorId) || authorId === userId) continue;
    if (seen.has(postId) || viewers.isHidden(userId, authorId)) continue;
    ids.push(postId);
  }
  const context = viewers.context(userId, timeMs);
  const all = world.trueValues(userId, ids, WORLD_WEIGHTS, context);
  const created = Float64Array.from(ids, (id) => posts.get(id)?.createdAtMs ?? 0);
  const descending = (scores: Float64Array): Int32Array =>
    Int32Array.from(scores.keys()).sort(
      (a, b) =>
        (scores[b] as number) - (scores[a] as number) ||
        compareIds(ids[a] as string, ids[b] as string),
    );
  return new Map([
    ["chronological", slateValue(all, descending(created))],
    ["full", slateValue(values, page)],
    ["merged_oracle", slateValue(values, descending(values))],
    ["visible", slateValue(all, descending(visibleValues(world, userId, ids, context)))],
    ["oracle", slateValue(all, descending(all))],
  ]);
}
