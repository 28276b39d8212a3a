import { beforeAll, expect, test } from "vitest";
import { random } from "../random.ts";
import { follows } from "./graph.ts";
import { createPopulation, type Population } from "./population.ts";
import { timeOfDay } from "./rhythm.ts";
import { PRESETS } from "./settings.ts";
import { weightedDraw } from "./weighted-draw.ts";

let population: Population;
beforeAll(() => {
  population = createPopulation(PRESETS.tiny, 2);
});

test("nobody follows themselves or anybody twice, and lookups agree with the lists", () => {
  const { graph, users } = population;
  for (let u = 0; u < users.count; u++) {
    const list = [...graph.targets.subarray(graph.offsets[u], graph.offsets[u + 1])];
    expect(new Set(list).size).toBe(list.length);
    expect(list).not.toContain(u);
    const set = new Set(list);
    for (let v = 0; v < users.count; v += 11)
      if (follows(graph, u, v) !== set.has(v)) throw new Error(`${u} follows ${v}`);
  }
});

test("follower counts are the counts of the lists", () => {
  const { graph, users } = population;
  const counts = new Int32Array(users.count);
  for (const target of graph.targets) counts[target]!++;
  expect(graph.followerCounts).toEqual(counts);
});

test("a follow happens when both accounts exist", () => {
  const { graph, users } = population;
  let early = 0;
  for (let u = 0; u < users.count; u++) {
    for (let e = graph.offsets[u]!; e < graph.offsets[u + 1]!; e++) {
      const target = graph.targets[e]!;
      if (graph.timesMs[e]! <= Math.max(users.createdMs[u]!, users.createdMs[target]!)) early++;
    }
  }
  expect(early).toBe(0);
});

test("people follow those who are like them more often", () => {
  const { graph, users } = population;
  let same = 0;
  let sameByChance = 0;
  let edges = 0;
  const source = random(1, "chance");
  for (let u = 0; u < users.count; u++) {
    for (let e = graph.offsets[u]!; e < graph.offsets[u + 1]!; e++) {
      edges++;
      if (users.language[u] === users.language[graph.targets[e]!]) same++;
      const anyone = graph.targets[source.below(graph.targets.length)]!;
      if (users.language[u] === users.language[anyone]) sameByChance++;
    }
  }
  expect(same / edges).toBeGreaterThan(sameByChance / edges + 0.05);
});

test("weighted draws come as often as their weights say, and weight 0 never", () => {
  const weights = [1, 0, 3, 6];
  const draw = weightedDraw(weights);
  const source = random(1, "draws");
  const counts = [0, 0, 0, 0];
  const n = 40_000;
  for (let i = 0; i < n; i++) counts[draw.draw(source)]!++;
  for (const [i, weight] of weights.entries()) {
    const p = weight / 10;
    expect(Math.abs(counts[i]! / n - p)).toBeLessThanOrEqual(4.5 * Math.sqrt((p * (1 - p)) / n));
  }
});

test("the daily rhythm follows the wall clock of the zone", () => {
  const hours = (offset: number): number[] => {
    const source = random(1, "rhythm");
    const counts = new Array<number>(24).fill(0);
    for (let i = 0; i < 20_000; i++) {
      const ms = timeOfDay(offset, source);
      counts[Math.floor(ms / 3_600_000)]!++;
    }
    return counts;
  };
  const utc = hours(0);
  const east = hours(540);
  for (let hour = 0; hour < 24; hour++) expect(east[hour]).toBe(utc[(hour + 9) % 24]);
  expect(utc[20]!).toBeGreaterThan(5 * utc[3]!);
});
