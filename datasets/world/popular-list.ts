import type { Population } from "./population.ts";
import { firstAtOrAfter } from "./posts.ts";
import { HOUR_MS } from "./settings.ts";
import type { VisibleState } from "./visible-state.ts";

const POPULAR_HOURS = 24;
const REFRESH_MS = 20 * 60_000;
/** Enough that those who have seen the first ones find others. */
const LENGTH = 480;

/** The most popular posts of the last day, best first, refreshed every 20 minutes. */
export function createPopularList(
  population: Population,
  state: VisibleState,
): (timeMs: number) => readonly number[] {
  const { posts } = population;
  let list: number[] = [];
  let madeMs = Number.NEGATIVE_INFINITY;
  return (timeMs) => {
    if (timeMs - madeMs < REFRESH_MS) return list;
    madeMs = timeMs;
    const first = firstAtOrAfter(posts.createdMs, timeMs - POPULAR_HOURS * HOUR_MS, state.postsOut);
    const score = new Float64Array(state.postsOut - first);
    const found: number[] = [];
    for (let post = first; post < state.postsOut; post++) {
      const popularity = state.exists[post] === 1 ? state.popularity(post, timeMs) : 0;
      score[post - first] = popularity;
      if (popularity > 0) found.push(post);
    }
    found.sort((a, b) => score[b - first]! - score[a - first]! || b - a);
    list = found.slice(0, LENGTH);
    return list;
  };
}
