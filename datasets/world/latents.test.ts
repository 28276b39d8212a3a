import { beforeAll, expect, test } from "vitest";
import { type Random, random } from "../random.ts";
import { POST_CREATED, USER_CREATED } from "./event-queue.ts";
import { createPolicies, EARLIER_RANKER } from "./policies.ts";
import { createPopulation, type Population } from "./population.ts";
import { toRecord } from "./records.ts";
import { PRESETS, WORLD_START_MS } from "./settings.ts";
import { simulate } from "./simulation.ts";
import { createTruth } from "./truth.ts";
import { VisibleState } from "./visible-state.ts";

/** What nobody outside may see. `interests` and `topic` reach texts and labels through noise and are tested apart. */
const USER_LATENTS = [
  "drift",
  "direction",
  "style",
  "mediaTaste",
  "tolerance",
  "propensity",
  "activity",
  "quality",
  "responsiveness",
  "authorStyle",
  "popularity",
] as const;
const POST_LATENTS = [
  "quality",
  "expectedQuality",
  "controversy",
  "expectedControversy",
  "toxicity",
  "expectedToxicity",
] as const;

function redrawn<T extends Float32Array | Float64Array>(from: T, source: Random): T {
  return from.map(() => source.normal()) as T;
}

/** The same world with other latents. */
function withOtherLatents(population: Population): Population {
  const source = random(99, "redrawn");
  const users = { ...population.users } as Record<string, unknown>;
  for (const name of USER_LATENTS) users[name] = redrawn(population.users[name], source);
  const posts = { ...population.posts } as Record<string, unknown>;
  for (const name of POST_LATENTS) posts[name] = redrawn(population.posts[name], source);
  return { ...population, users, posts } as unknown as Population;
}

let population: Population;
let other: Population;
beforeAll(() => {
  population = createPopulation(PRESETS.tiny, 4);
  other = withOtherLatents(population);
});

const happening = (kind: number, index: number) => ({
  kind,
  timeMs: 0,
  user: kind === POST_CREATED ? population.posts.author[index]! : index,
  object: index,
  request: 0,
  detail: 0,
  flags: 0,
  value: 0,
});

test("records of people and posts are the same whatever their latents", () => {
  for (let u = 0; u < population.users.count; u++) {
    const at = happening(USER_CREATED, u);
    expect(toRecord(other, at)).toEqual(toRecord(population, at));
  }
  for (let p = 0; p < population.posts.count; p++) {
    const at = happening(POST_CREATED, p);
    expect(toRecord(other, at)).toEqual(toRecord(population, at));
  }
});

test("a logging policy that saw the same log orders the same page whatever the latents", () => {
  const states = [new VisibleState(population), new VisibleState(other)] as const;
  for (const at of simulate(population, createTruth(population))) {
    for (const state of states) state.apply(at);
  }
  const ranks = [createPolicies(population, states[0]), createPolicies(other, states[1])] as const;
  const timeMs = WORLD_START_MS + PRESETS.tiny.days * 86_400_000;
  let compared = 0;
  for (let user = 0; user < population.users.count; user += 3) {
    for (const policy of [0, 1, EARLIER_RANKER]) {
      const [one, two] = ranks.map((rank) => {
        const page = rank(policy, user, timeMs, random(1, "page", user));
        return { posts: [...page.posts], propensities: [...page.propensities] };
      });
      expect(two).toEqual(one);
      compared++;
    }
  }
  expect(compared).toBeGreaterThan(100);
});

test("the truth does depend on the latents that the test redraws", () => {
  const meeting = {
    timeMs: WORLD_START_MS + 86_400_000,
    shownBefore: 0,
    follows: () => false,
    exposures: () => 0,
  };
  const probabilities = [population, other].map((world) => {
    const truth = createTruth(world);
    const into = new Float64Array(16);
    truth.meet(5, meeting);
    truth.probabilities(7, into, 0);
    return [...into];
  });
  expect(probabilities[0]).not.toEqual(probabilities[1]);
});

test("label and attributes leave uncertainty about topic, quality and controversy", () => {
  const { posts } = population;
  let wrong = 0;
  for (let p = 0; p < posts.count; p++) if (posts.label[p] !== posts.topic[p]) wrong++;
  expect(wrong / posts.count).toBeGreaterThan(0.2);
  expect(wrong / posts.count).toBeLessThan(0.3);
  // The expectation given what is visible is off by the hidden parts: sd √(.38² + .62² · .3²/1.09) = .42 and .48.
  expect(rootMeanSquare(posts.quality, posts.expectedQuality)).toBeCloseTo(0.42, 1);
  expect(rootMeanSquare(posts.controversy, posts.expectedControversy)).toBeCloseTo(0.48, 1);
});

function rootMeanSquare(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return Math.sqrt(sum / a.length);
}
