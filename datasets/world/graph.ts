import { random, shuffle } from "../random.ts";
import { DAY_MS, HOUR_MS, WORLD_START_MS } from "./settings.ts";
import { TOPIC_COUNT } from "./topics.ts";
import { NEWCOMER, type Users } from "./users.ts";
import { weightedDraw } from "./weighted-draw.ts";

/** Source: variant V of the world's prototype, for all constants below. */
const HOMOPHILY = 3;
const SAME_LANGUAGE = 1.2;
const MEDIAN_FOLLOWS = 46;
const FOLLOWS_SD = 0.95;
const MOST_FOLLOWS = 1600;
/** A newcomer follows fewer accounts than those who have been around. */
const NEWCOMER_FOLLOWS = 0.6;
/** Circles of people alike who know each other: size, and the chance that two of one circle follow each other. */
const CIRCLE_SIZE = 25;
const ACQUAINTED = 0.5;
const FOLLOW_BACK = 0.2;
/** Draws per wanted follow before a list stays short; only lists that want most of the network get there. */
const DRAWS_PER_FOLLOW = 150;

/** Who follows whom when everybody has joined, before anything in the log changes it. */
export interface FollowGraph {
  /** [users + 1]: the follows of u are `targets[offsets[u] … offsets[u + 1])`, ascending. */
  readonly offsets: Int32Array;
  readonly targets: Int32Array;
  /** When each follow happened, epoch ms, aligned with `targets`. */
  readonly timesMs: Float64Array;
  /** [users] */
  readonly followerCounts: Int32Array;
}

/**
 * Draws follows by popularity and likeness: successive draws without replacement with weight
 * popularity · exp(3 cos + 1.2 [same language]) (the Gumbel top-k distribution), then follow-backs that are likelier
 * between people who are alike and have few followers, then circles of acquaintances, which make the graph clustered.
 */
export function createGraph(users: Users, seed: number): FollowGraph {
  const lists = drawFollows(users, seed);
  addFollowBacks(lists, users, seed);
  addCircles(lists, users, seed);

  const offsets = new Int32Array(users.count + 1);
  for (let u = 0; u < users.count; u++) offsets[u + 1] = offsets[u]! + lists[u]!.size;
  const targets = new Int32Array(offsets[users.count]!);
  const timesMs = new Float64Array(targets.length);
  const followerCounts = new Int32Array(users.count);
  for (let u = 0; u < users.count; u++) {
    const start = offsets[u]!;
    targets.set(Int32Array.from(lists[u]!).sort(), start);
    const source = random(seed, "follow-times", u);
    for (let e = start; e < offsets[u + 1]!; e++) {
      const target = targets[e]!;
      followerCounts[target]!++;
      timesMs[e] = followTime(users, u, target, source.next());
    }
  }
  return { offsets, targets, timesMs, followerCounts };
}

export function follows(graph: FollowGraph, follower: number, target: number): boolean {
  let low = graph.offsets[follower]!;
  let high = graph.offsets[follower + 1]! - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const at = graph.targets[middle]!;
    if (at === target) return true;
    if (at < target) low = middle + 1;
    else high = middle - 1;
  }
  return false;
}

/** Cosine of the interests of two people as of day 0. */
export function likeness(users: Users, a: number, b: number): number {
  let sum = 0;
  const i = a * TOPIC_COUNT;
  const j = b * TOPIC_COUNT;
  for (let k = 0; k < TOPIC_COUNT; k++) sum += users.direction[i + k]! * users.direction[j + k]!;
  return sum;
}

function drawFollows(users: Users, seed: number): Set<number>[] {
  const byPopularity = weightedDraw(users.popularity);
  const most = Math.min(MOST_FOLLOWS, Math.floor(users.count / 3));
  const lists: Set<number>[] = [];
  for (let u = 0; u < users.count; u++) {
    const source = random(seed, "follows", u);
    const share = users.kind[u] === NEWCOMER ? NEWCOMER_FOLLOWS : 1;
    const drawn = Math.exp(Math.log(MEDIAN_FOLLOWS * share) + FOLLOWS_SD * source.normal());
    const wanted = Math.floor(Math.min(most, Math.max(5, drawn)));
    const list = new Set<number>();
    for (let tries = wanted * DRAWS_PER_FOLLOW; list.size < wanted && tries > 0; tries--) {
      const target = byPopularity.draw(source);
      if (target === u || list.has(target)) continue;
      const same = users.language[u] === users.language[target] ? SAME_LANGUAGE : 0;
      const logWeight = HOMOPHILY * likeness(users, u, target) + same;
      if (source.next() < Math.exp(logWeight - HOMOPHILY - SAME_LANGUAGE)) list.add(target);
    }
    lists.push(list);
  }
  return lists;
}

function addFollowBacks(lists: Set<number>[], users: Users, seed: number): void {
  const followers = new Int32Array(users.count);
  for (const list of lists) for (const target of list) followers[target]!++;
  const original = lists.map((list) => [...list]);
  for (let u = 0; u < users.count; u++) {
    const source = random(seed, "follow-backs", u);
    const own = FOLLOW_BACK * (30 / Math.max(followers[u]!, 30)) ** 0.35;
    for (const target of original[u]!) {
      const theirs = (30 / Math.max(followers[target]!, 30)) ** 0.3;
      const p = own * theirs * (0.5 + likeness(users, u, target)) * 1.3;
      if (source.next() < p) lists[target]!.add(u);
    }
  }
}

/** Everybody is in one circle of people with the same strongest topic and language. */
function addCircles(lists: Set<number>[], users: Users, seed: number): void {
  const groups = new Map<number, number[]>();
  for (let u = 0; u < users.count; u++) {
    if (users.kind[u] === NEWCOMER) continue;
    const group = strongestTopic(users, u) * 4 + users.language[u]!;
    groups.set(group, [...(groups.get(group) ?? []), u]);
  }
  for (const [group, members] of groups) {
    const source = random(seed, "circle", group);
    shuffle(members, source);
    for (let first = 0; first < members.length; first += CIRCLE_SIZE) {
      const circle = members.slice(first, first + CIRCLE_SIZE);
      for (const [i, a] of circle.entries()) {
        for (const b of circle.slice(i + 1)) {
          if (source.next() >= ACQUAINTED) continue;
          lists[a]!.add(b);
          lists[b]!.add(a);
        }
      }
    }
  }
}

function strongestTopic(users: Users, user: number): number {
  let strongest = 0;
  const base = user * TOPIC_COUNT;
  for (let k = 1; k < TOPIC_COUNT; k++) {
    if (users.interests[base + k]! > users.interests[base + strongest]!) strongest = k;
  }
  return strongest;
}

/** Between accounts of before the log: any time since both exist. Else within minutes (own) or hours (back) of joining. */
function followTime(users: Users, follower: number, target: number, lot: number): number {
  const bothExist = Math.max(users.createdMs[follower]!, users.createdMs[target]!);
  if (bothExist < WORLD_START_MS) {
    return Math.floor(bothExist + 1 + lot * (WORLD_START_MS - bothExist - 2));
  }
  const isOwn = users.createdMs[follower]! === bothExist;
  return Math.floor(bothExist + 1000 + lot * (isOwn ? 100_000 : Math.min(20 * HOUR_MS, DAY_MS)));
}
