import { expect, test } from "vitest";
import type { EventOf } from "../datasets/events.ts";
import { random } from "../datasets/random.ts";
import { estimateTopics, TOKEN_SLOTS, topicHash } from "./content-topics.ts";
import { TOPICS_PER_POST } from "./entities.ts";
import { POST } from "./families/post-content.ts";
import { MemoryState } from "./memory-store.ts";
import { SLOTS } from "./registry.ts";

const created = (text: string, topics: readonly string[]): EventOf<"post_created"> => ({
  type: "post_created",
  time_ms: 1,
  post_id: "1",
  author_id: "1",
  text,
  topics: [...topics],
  media: "none",
  safety_labels: [],
  attributes: {},
});

/** The topics that a post gets, hash → weight, most likely first. */
function estimate(
  state: MemoryState,
  text: string,
  topics: readonly string[],
): Map<number, number> {
  const post = new Float64Array(SLOTS.post);
  estimateTopics(state, created(text, topics), post);
  const found = new Map<number, number>();
  for (let i = 0; i < TOPICS_PER_POST && post[POST.topics + 2 * i] !== 0; i++)
    found.set(post[POST.topics + 2 * i] as number, post[POST.topics + 2 * i + 1] as number);
  return found;
}

test("planted topics are recovered better than their labels, a quarter of which are wrong or missing, alone could", () => {
  const rnd = random(7, "planted");
  const names = Array.from({ length: 20 }, (_, i) => `topic-${i}`);
  const state = new MemoryState();
  let [judged, byEstimate, byLabel, unlabelled, byText] = [0, 0, 0, 0, 0];
  for (let k = 0; k < 3000; k++) {
    const topic = rnd.below(names.length);
    const words = Array.from({ length: 9 }, () =>
      rnd.next() < 0.3 ? `t${topic}x${rnd.below(30)}` : `common${rnd.below(400)}`,
    );
    const luck = rnd.next();
    const label = luck < 0.125 ? undefined : luck < 0.25 ? names[rnd.below(20)] : names[topic];
    const found = estimate(state, words.join(" "), label === undefined ? [] : [label]);
    if (k < 1500) continue;
    judged++;
    const [likeliest] = found.keys();
    const right = likeliest === topicHash(names[topic] as string);
    if (right) byEstimate++;
    if (label === names[topic]) byLabel++;
    if (label === undefined) {
      unlabelled++;
      if (right) byText++;
    }
  }
  expect(byLabel / judged).toBeLessThan(0.8);
  expect(byEstimate / judged).toBeGreaterThan(byLabel / judged + 0.06);
  expect(byText / unlabelled).toBeGreaterThan(0.7);
});

test("a post's topics come from earlier posts only", () => {
  const state = new MemoryState();
  expect(estimate(state, "kettle leaf", [])).toEqual(new Map());
  expect(estimate(state, "kettle leaf", ["tea"])).toEqual(new Map([[topicHash("tea"), 1]]));
  // The label of the post before is known now, that of this one is nobody's.
  expect([...estimate(state, "kettle leaf", []).keys()]).toEqual([topicHash("tea")]);
});

test("a post without text keeps its labels in equal parts, at most as many as there are places", () => {
  const state = new MemoryState();
  estimate(state, "kettle", ["tea"]);
  const two = estimate(state, "", ["chess", "jazz"]);
  expect(two).toEqual(
    new Map([topicHash("chess"), topicHash("jazz")].sort((a, b) => a - b).map((t) => [t, 0.5])),
  );
  const many = Array.from({ length: 20 }, (_, i) => `label-${i}`);
  expect([...estimate(state, "", many).values()]).toEqual([0.25, 0.25, 0.25, 0.25]);
});

test("where nothing speaks for any topic the post has none", () => {
  const state = new MemoryState();
  estimate(state, "kettle", ["tea"]);
  estimate(state, "pawn", ["chess"]);
  expect(estimate(state, "words never met", []).size).toBe(0);
  expect(estimate(state, "!? …", []).size).toBe(0);
});

test("a label never met before does not outweigh a text that clearly belongs elsewhere", () => {
  const state = new MemoryState();
  for (let i = 0; i < 50; i++) {
    estimate(state, "kettle leaf cup", ["tea"]);
    estimate(state, "pawn rook bishop", ["chess"]);
  }
  const [likeliest] = estimate(state, "pawn rook bishop", ["brand new"]).keys();
  expect(likeliest).toBe(topicHash("chess"));
});

test("weights sum to 1, most likely first", () => {
  const rnd = random(1, "weights");
  const state = new MemoryState();
  for (let k = 0; k < 300; k++) {
    const words = Array.from({ length: 6 }, () => `w${rnd.below(30)}`).join(" ");
    const found = [...estimate(state, words, [`t${rnd.below(12)}`, `t${rnd.below(12)}`]).values()];
    expect(found.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 12);
    expect(found).toEqual(found.toSorted((a, b) => b - a));
  }
});

test("a token's topic counts are Space-Saving: never too small, too large by at most the total over the places", () => {
  const rnd = random(5, "space saving");
  const places = (TOKEN_SLOTS - 1) / 2;
  const state = new MemoryState();
  const truth = new Map<number, number>();
  const n = 6000;
  for (let k = 0; k < n; k++) {
    // Zipf-like over 300 topics: far more than the places.
    const topic = `t${Math.floor(300 * rnd.next() ** 3)}`;
    truth.set(topicHash(topic), (truth.get(topicHash(topic)) ?? 0) + 1);
    estimate(state, "word", [topic]);
  }
  const vector = state.get("token", "word") as Float64Array;
  expect(vector[0]).toBe(n);
  const kept = new Map<number, number>();
  for (let i = 1; i < vector.length; i += 2) kept.set(vector[i] as number, vector[i + 1] as number);
  expect(kept.size).toBe(places);
  expect([...kept.values()].reduce((sum, count) => sum + count, 0)).toBeCloseTo(n, 6);
  for (const [topic, count] of kept) {
    expect(count).toBeGreaterThanOrEqual((truth.get(topic) ?? 0) - 1e-9);
    expect(count).toBeLessThanOrEqual((truth.get(topic) ?? 0) + n / places);
  }
  for (const [topic, count] of truth)
    if (count > n / places) expect(kept.has(topic), `a topic of ${count}`).toBe(true);
});

test("a run of letters too long to be a word is not learned", () => {
  const state = new MemoryState();
  estimate(state, `kettle ${"x".repeat(5000)}`, ["tea"]);
  expect([...state.keys("token")].sort()).toEqual(["", "kettle"]);
});
