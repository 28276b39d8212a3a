import { beforeAll, expect, test } from "vitest";
import { type Event, EventSchema } from "../../datasets/events.ts";
import { WORLD_WEIGHTS } from "../../datasets/world/world-weights.ts";
import { Replay } from "../../features/replay.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { ops } from "../graph/ops.ts";
import { toOnnx } from "../graph/to-onnx.ts";
import { input } from "../graph/value.ts";
import { TowerLog } from "../tower-log.ts";
import { rankerWorth } from "./ranker-worth.ts";
import { drawLists, EMPTY_PLACE, teachLists } from "./tower-lists.ts";

const START = Date.UTC(2026, 0, 5);
const FEATURES = ["user_author.follows", "post.age_hours"];
const LOTS = 5;
const SHOWN = 3;

/** Ten authors with two posts each; viewers 1 … 6 follow author 100 and see six posts at one request each. */
function events(): Event[] {
  const all: unknown[] = [];
  for (let i = 0; i < 20; i++)
    all.push({
      type: "post_created",
      time_ms: START + i,
      post_id: String(500 + i),
      author_id: String(100 + (i % 10)),
      text: "",
      media: "none",
      topics: [],
      safety_labels: [],
      attributes: {},
    });
  for (let user = 1; user <= 6; user++)
    all.push({ type: "follow", time_ms: START + 100, user_id: String(user), target_id: "100" });
  for (let user = 1; user <= 6; user++)
    for (let slot = 0; slot < 6; slot++) {
      const post = (user + 3 * slot) % 20;
      all.push({
        type: "impression",
        time_ms: START + 3_600_000 + 1000 * user + slot,
        request_id: `r${user}`,
        user_id: String(user),
        post_id: String(500 + post),
        author_id: String(100 + (post % 10)),
        position: slot + 1,
        in_network: post % 10 === 0,
      });
    }
  return all.map((event) => EventSchema.parse(event));
}

let rows: TrainingRows;
let log: TowerLog;

beforeAll(() => {
  log = new TowerLog({ lotsPerRequest: LOTS, seed: 1, features: FEATURES, ids: ["author"] });
  const replay = new Replay({
    features: FEATURES,
    ids: ["author"],
    heads: ["favorite", "report"],
    onRow: (_, event, state) => log.row(event, state),
  });
  for (const event of events()) {
    log.observe(event);
    replay.push(event);
  }
  replay.settle();
  rows = replay.rows();
});

test("ranker's features of posts by lot are noted for their viewer, as rows have them", () => {
  expect(log.lots.n).toBe(6 * LOTS);
  const followed = new Set(["500", "510"].map((id) => log.postNumber(id)));
  for (let lot = 0; lot < log.lots.n; lot++) {
    const own = followed.has(log.lotPost[lot] as number) ? 1 : 0;
    expect(log.lotFeatures[2 * lot]).toBe(own);
    expect(log.lotFeatures[2 * lot + 1]).toBeCloseTo(1, 2);
  }
  // The same author has the same id in rows and lots.
  const authorOf = new Map(rows.postIds.map((id, row) => [log.postNumber(id), rows.ids[row]]));
  let compared = 0;
  for (let lot = 0; lot < log.lots.n; lot++) {
    const known = authorOf.get(log.lotPost[lot] as number);
    if (known === undefined) continue;
    expect(log.lotIds[lot]).toBe(known);
    compared++;
  }
  expect(compared).toBeGreaterThan(10);
});

test("a list has strangers' posts of its own request, as many shown ones as asked for, and none of followed authors", () => {
  const { places, posts } = drawLists(rows, log, 0, rows.n, SHOWN, 1);
  expect(places).toBe(SHOWN + LOTS);
  for (let user = 0; user < log.users.n; user++) {
    const own = posts.subarray(user * places, (user + 1) * places);
    const shown = own.filter((post) => post >= 0);
    expect(new Set(shown).size).toBe(SHOWN);
    for (const row of shown) {
      expect(log.userOf[row]).toBe(user);
      expect(rows.inNetwork[row]).toBe(0);
    }
    own.subarray(SHOWN).forEach((post, i) => {
      const lot = user * LOTS + i;
      expect(post).toBe(log.lotFeatures[2 * lot] === 1 ? EMPTY_PLACE : -1 - lot);
    });
  }
  expect(posts.includes(EMPTY_PLACE)).toBe(true);
});

test("requests outside the rows have no list", () => {
  const { places, posts } = drawLists(rows, log, 0, 6, SHOWN, 1);
  expect(posts.subarray(places).every((post) => post === EMPTY_PLACE)).toBe(true);
  expect(posts.subarray(0, places).some((post) => post !== EMPTY_PLACE)).toBe(true);
});

test("shares are worth to a power in proportion, 0 at empty places and in empty lists", () => {
  const posts = Int32Array.of(4, -1, EMPTY_PLACE, EMPTY_PLACE, EMPTY_PLACE, EMPTY_PLACE);
  const { target } = teachLists({ places: 3, posts }, Float32Array.of(1, 3, 9, 1, 1, 1), 2);
  expect([...target].map((share) => Math.round(share * 1e6) / 1e6)).toEqual([0.1, 0.9, 0, 0, 0, 0]);
});

test("worth is the weighted sum of what a ranker predicts, at least three tenths of its positive part", async () => {
  // Before calibration the heads say x and x² − x, x the age in hours.
  const features = input("features", ["n", 2]);
  const age = ops.slice(features, 1, 1, 1);
  const other = ops.sub(ops.mul(age, age), age);
  const outputs = ops.concat([age, other], 1);
  const bundle = {
    model: toOnnx({ outputs: { outputs } }),
    manifest: {
      features: FEATURES,
      ids: [],
      heads: ["favorite", "report"].map((name) => ({ name, kind: "binary" as const })),
      calibration: [
        { kind: "platt" as const, a: 1, b: -4 },
        { kind: "platt" as const, a: 1, b: -9 },
      ],
      masked_heads: [],
    },
  };
  const lists = drawLists(rows, log, 0, rows.n, SHOWN, 1);
  const worth = await rankerWorth(bundle, rows, log, lists, 1);
  const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
  const { favorite = 0, report = 0 } = WORLD_WEIGHTS;
  for (const [at, post] of lists.posts.entries()) {
    if (post === EMPTY_PLACE) {
      expect(worth[at]).toBe(0);
      continue;
    }
    const x = (
      post >= 0 ? rows.features[2 * post + 1] : log.lotFeatures[2 * (-1 - post) + 1]
    ) as number;
    const positive = favorite * sigmoid(x - 4);
    const all = positive + report * sigmoid(x * x - x - 9);
    expect(worth[at]).toBeCloseTo(Math.max(all, 0.3 * positive), 6);
  }
});
