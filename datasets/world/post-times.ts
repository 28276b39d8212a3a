import { random } from "../random.ts";
import type { FollowGraph } from "./graph.ts";
import { timeOfDay } from "./rhythm.ts";
import { DAY_MS, WORLD_START_MS, type WorldSettings } from "./settings.ts";
import type { Users } from "./users.ts";
import { weightedDraw } from "./weighted-draw.ts";

/** Authors post log-normally often, somewhat more with more followers, by their own daily rhythm. */
export function placeInTime(
  settings: WorldSettings,
  seed: number,
  users: Users,
  graph: FollowGraph,
): { createdMs: Float64Array; author: Int32Array } {
  const { posts: count, authors, days } = settings;
  let meanFollowers = 0;
  for (let a = 0; a < authors; a++) meanFollowers += graph.followerCounts[a]! / authors;
  const rate = Float64Array.from({ length: authors }, (_, a) => {
    const reach = (graph.followerCounts[a]! + 1) / meanFollowers;
    return Math.exp(random(seed, "post-rate", a).normal()) * reach ** 0.25;
  });
  const byRate = weightedDraw(rate);
  const times = new Float64Array(count);
  const authorOf = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const source = random(seed, "post-time", i);
    authorOf[i] = byRate.draw(source);
    const within = timeOfDay(users.utcOffsetMinutes[authorOf[i]!]!, source);
    times[i] = WORLD_START_MS + source.below(days) * DAY_MS + within;
  }
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  order.sort((a, b) => times[a]! - times[b]! || a - b);
  return {
    createdMs: Float64Array.from(order, (i) => times[i]!),
    author: Int32Array.from(order, (i) => authorOf[i]!),
  };
}
