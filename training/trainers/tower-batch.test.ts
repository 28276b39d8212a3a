import { expect, test } from "vitest";
import { type Event, EventSchema } from "../../datasets/events.ts";
import { Replay } from "../../features/replay.ts";
import { POST_TOWER, widthOf } from "../../features/tower-inputs.ts";
import { HashedBags } from "../models/hashed-bags.ts";
import { TowerLog } from "../tower-log.ts";
import { TowerBatch } from "./tower-batch.ts";
import { towerExamples } from "./tower-examples.ts";
import { TwoTowerOptions } from "./two-tower-options.ts";

const START = Date.UTC(2026, 0, 5);
const HOUR = 3_600_000;
const [LOTS, ENGAGED] = [6, 4];
const POSTS = 40;

/** Forty posts of which four are acted on, then ten viewers who see and like two each. */
function events(): Event[] {
  const all: unknown[] = [];
  for (let i = 0; i < POSTS; i++)
    all.push({
      type: "post_created",
      time_ms: START + i * 60_000,
      post_id: String(500 + i),
      author_id: String(100 + i),
      text: "",
      media: "none",
      topics: [],
      safety_labels: [],
      attributes: {},
    });
  const like = (user: number, post: number, timeMs: number, request?: string) => ({
    type: "engagement",
    time_ms: timeMs,
    head: "favorite",
    user_id: String(user),
    post_id: String(500 + post),
    author_id: String(100 + post),
    ...(request && { request_id: request }),
  });
  for (let i = 0; i < 40; i++) all.push(like(90 + i, i % 4, START + HOUR + i));
  for (let user = 1; user <= 10; user++)
    for (let slot = 0; slot < 2; slot++) {
      const timeMs = START + 2 * HOUR + 1000 * user + 100 * slot;
      const post = 10 + 2 * user + slot - 2;
      all.push({
        type: "impression",
        time_ms: timeMs,
        request_id: `r${user}`,
        user_id: String(user),
        post_id: String(500 + post),
        author_id: String(100 + post),
        position: slot + 1,
        in_network: false,
      });
      all.push(like(user, post, timeMs + 1, `r${user}`));
    }
  return all.map((event) => EventSchema.parse(event));
}

test("a request's lots are uniform ones and then posts that viewers act on; the softmax sees uniform ones alone", () => {
  const log = new TowerLog({ lotsPerRequest: LOTS, engagedPerRequest: ENGAGED, seed: 1 });
  const replay = new Replay({
    features: [],
    ids: [],
    heads: ["favorite"],
    onRow: (_, event, state) => log.row(event, state),
  });
  for (const event of events()) {
    log.observe(event);
    replay.push(event);
  }
  replay.settle();
  const rows = replay.rows();
  expect(log.lots.n).toBe(10 * LOTS);
  expect(new Set(log.eligible)).toEqual(new Set([POSTS]));
  const acted = new Set([0, 1, 2, 3].map((post) => log.postNumber(String(500 + post))));
  const ofFour = (from: number, to: number): number => {
    let count = 0;
    for (let lot = 0; lot < log.lots.n; lot++)
      if (lot % LOTS >= from && lot % LOTS < to && acted.has(log.lotPost[lot] as number)) count++;
    return count;
  };
  expect(ofFour(0, LOTS - ENGAGED)).toBeLessThan(10);
  expect(ofFour(LOTS - ENGAGED, LOTS)).toBeGreaterThan(30);

  const settings = TwoTowerOptions.parse({ embeddingWidth: 4 });
  const examples = towerExamples(rows, log, 0, rows.n, settings, 1);
  const size = examples.welcomed.length;
  const order = Int32Array.from({ length: size }, (_, i) => i);
  const { buckets, tableRate, tableDecay } = settings;
  const embeddings = new HashedBags(
    { buckets, width: 4, learningRate: tableRate, l2: tableDecay },
    { normal: () => 0 } as never,
  );
  const batch = new TowerBatch(size, embeddings, settings);
  const width = widthOf(POST_TOWER);
  const at = (features: Float32Array, row: number) =>
    [...features.subarray(row * width, (row + 1) * width)].join();
  for (let step = 0; step < 5; step++) {
    batch.fill(log, examples, order, 0, 1, step);
    const posts = batch.feeds.post_features?.data as Float32Array;
    for (let i = 0; i < size; i++) {
      const user = log.userOf[examples.welcomed[i] as number] as number;
      const uniform = [0, 1].map((lot) => at(log.lots.features, user * LOTS + lot));
      // Each viewer welcomed all that was shown: a lot stands at the place of the shunned post too.
      for (const place of [size + i, 2 * size + i]) expect(uniform).toContain(at(posts, place));
    }
  }
});
