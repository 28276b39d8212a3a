import { beforeAll, expect, test } from "vitest";
import { random } from "../random.ts";
import { EXPLORATION } from "./exploration.ts";
import {
  CHRONOLOGICAL,
  createPolicies,
  EARLIER_RANKER,
  type Page,
  POPULARITY,
} from "./policies.ts";
import { createPopulation, type Population } from "./population.ts";
import { PRESETS, WORLD_START_MS } from "./settings.ts";
import { simulate } from "./simulation.ts";
import { createTruth } from "./truth.ts";
import { VisibleState } from "./visible-state.ts";

const END_MS = WORLD_START_MS + PRESETS.tiny.days * 86_400_000;
let population: Population;
let state: VisibleState;
let rank: ReturnType<typeof createPolicies>;
beforeAll(() => {
  population = createPopulation(PRESETS.tiny, 6);
  state = new VisibleState(population);
  for (const at of simulate(population, createTruth(population))) state.apply(at);
  rank = createPolicies(population, state);
});

/** Posts that the policy put where they are, in slot order. */
function kept(page: Page): number[] {
  const posts: number[] = [];
  for (let slot = 0; slot < page.size; slot++)
    if (page.propensities[slot]! > 0.5) posts.push(page.posts[slot]!);
  return posts;
}
const pages = function* (policy: number): Generator<{ user: number; page: Page }> {
  for (let user = 0; user < population.users.count; user += 2)
    yield { user, page: rank(policy, user, END_MS - 1, random(1, "page", user)) };
};

test("the chronological page is in-network from newest to oldest, then others", () => {
  let inNetwork = 0;
  for (const { user, page } of pages(CHRONOLOGICAL)) {
    const posts = kept(page);
    const mine = posts.filter((p) => state.follows(user, population.posts.author[p]!));
    expect(posts.slice(0, mine.length)).toEqual(mine);
    expect(mine).toEqual([...mine].sort((a, b) => b - a));
    inNetwork += mine.length;
  }
  expect(inNetwork).toBeGreaterThan(1000);
});

test("the popularity page falls in popularity", () => {
  for (const { page } of pages(POPULARITY)) {
    const counts = kept(page).map((p) => state.popularity(p, END_MS - 1));
    expect(counts).toEqual([...counts].sort((a, b) => b - a));
  }
});

test("no page shows a post twice, a post seen before, a deleted one or one of a hidden author", () => {
  const seen = state.seen.map((list) => new Set(list));
  const hidden = population.posts.author[population.posts.count - 1]!;
  state.hidden.set(0, new Set([hidden]));
  for (const policy of [CHRONOLOGICAL, POPULARITY, EARLIER_RANKER]) {
    for (const { user, page } of pages(policy)) {
      const posts = [...page.posts.subarray(0, page.size)];
      expect(new Set(posts).size).toBe(posts.length);
      expect(posts.filter((p) => seen[user]!.has(p))).toEqual([]);
      expect(posts.filter((p) => state.exists[p] === 0)).toEqual([]);
      if (user === 0) expect(posts.map((p) => population.posts.author[p])).not.toContain(hidden);
    }
  }
});

test("slots are randomised as often as announced, and say so", () => {
  let slots = 0;
  let drawn = 0;
  for (const policy of [CHRONOLOGICAL, POPULARITY, EARLIER_RANKER]) {
    for (const { page } of pages(policy)) {
      // A pool that is hardly larger than the page is not randomised.
      if (page.propensities[0] === 1) continue;
      slots += page.size;
      drawn += page.propensities.subarray(0, page.size).filter((p) => p < 0.5).length;
    }
  }
  const error = Math.sqrt((EXPLORATION * (1 - EXPLORATION)) / slots);
  expect(slots).toBeGreaterThan(5000);
  expect(Math.abs(drawn / slots - EXPLORATION)).toBeLessThan(4.5 * error);
});
