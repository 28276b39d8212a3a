import { expect, test } from "vitest";
import type { StoredPost } from "../../candidates/post-store.ts";
import { applyEvent } from "../../features/engine.ts";
import type { Entity, StateView, VectorCell } from "../../features/entities.ts";
import { KeptRows } from "../../features/kept-rows.ts";
import { MemoryState } from "../../features/memory-store.ts";
import type { FeatureLoad } from "../../features/redis/redis-reads.ts";
import { SMALL_WORLD_START_MS, smallWorld } from "../../features/small-world.fixture.ts";
import type { Inference } from "../inference/inference.ts";
import { tinyBundle } from "../inference/tiny-model.fixture.ts";
import { type CandidateTable, takeRows } from "../pipeline/candidate-table.ts";
import { queryOf, tableOf } from "../pipeline/home.fixture.ts";
import { featureMatrix, idMatrix } from "../pipeline/home-query.ts";
import type { Hydrated } from "../pipeline/stages.ts";
import { type FeatureSource, stageFeatures } from "./features.ts";

const FEATURES = ["post.age_hours", "post.quality", "author.posts_50d", "post.click_rate_50d"];
const IDS = [
  { name: "author", buckets: 50 },
  { name: "media", buckets: 4 },
];
const events = smallWorld(5, { posts: 150, users: 20 });
const state = new MemoryState();
for (const event of events) applyEvent(state, event);
const posts = events.flatMap((event) => (event.type === "post_created" ? [event] : []));
const nowMs = SMALL_WORLD_START_MS + 3 * 86_400_000;
const table = tableOf(posts.map(({ post_id, author_id }) => ({ post_id, author_id })));
const { signal } = new AbortController();

interface Offer {
  readonly features: Float32Array;
  readonly ids: Int32Array;
  readonly n: number;
  readonly ready: number;
  /** What stood in the rows that were said to be ready. */
  readonly rows: Float32Array;
}

/** Features of the table with a model that notes what it is offered. */
const hydrated = async (
  view: FeatureSource,
  from: CandidateTable = table,
): Promise<{ made: Hydrated; offers: Offer[] }> => {
  const offers: Offer[] = [];
  const { manifest } = tinyBundle({ weights: [1, 1, 1, 1], bias: [0] });
  const inference: Inference = {
    run: async () => new Float32Array(0),
    offer: (features, ids, n, ready) =>
      offers.push({
        features,
        ids,
        n,
        ready,
        rows: features.slice(0, ready * FEATURES.length),
      }),
    close: async () => {},
  };
  const query = queryOf({
    nowMs,
    models: { heavy: { manifest: { ...manifest, features: FEATURES, ids: IDS }, inference } },
  });
  const made = await stageFeatures("heavy", view).hydrate(query, from, signal);
  return { made, offers };
};

test("rows are offered as they are made, in the matrices that the model is run with", async () => {
  const { made, offers } = await hydrated(state);
  const features = made.matrices?.[featureMatrix("heavy")]?.values as Float32Array;
  const ids = made.matrices?.[idMatrix("heavy")]?.values;
  expect(table.n).toBeGreaterThan(130);
  expect(offers.map(({ ready }) => ready)).toEqual([64, 128, table.n]);
  for (const offer of offers) {
    expect(offer.features).toBe(features);
    expect(offer.ids).toBe(ids);
    expect(offer.n).toBe(table.n);
    expect(offer.rows).toEqual(features.slice(0, offer.rows.length));
  }
  expect(features.filter((value) => !Number.isNaN(value)).length).toBeGreaterThan(2 * table.n);
});

test("a post in hand is looked up once, and read where the store keeps its vector after that", async () => {
  const asked: string[] = [];
  const cells = new Map<string, VectorCell>();
  const view: StateView = {
    get: (entity: Entity, key: string) => {
      if (entity === "post") asked.push(key);
      return state.get(entity, key);
    },
    cell: (entity, key, held) => {
      const kept = cells.get(key);
      if (held !== undefined && held === kept) return held;
      const cell = { vector: view.get(entity, key) };
      cells.set(key, cell);
      return cell;
    },
  };
  const inHand = posts.map(({ post_id }) => ({ postId: post_id }) as StoredPost);
  const first = await hydrated(view, { ...table, inHand });
  expect(asked.length).toBe(table.n);
  const second = await hydrated(view, { ...table, inHand });
  expect(asked.length).toBe(table.n);
  cells.delete(posts[0]?.post_id as string);
  await hydrated(view, { ...table, inHand });
  expect(asked.length).toBe(table.n + 1);
  const plain = await hydrated(state);
  for (const { made } of [first, second]) expect(made.matrices).toEqual(plain.made.matrices);
});

test("state that lies elsewhere is fetched for the candidates, and gives the same rows", async () => {
  const asked: FeatureLoad[] = [];
  const elsewhere = (degraded: boolean): FeatureSource => ({
    position: 7,
    get: () => {
      throw new Error("nothing is here");
    },
    load: async (candidates) => {
      asked.push(candidates);
      return {
        get: (entity, key) => (entity === "post" ? undefined : state.get(entity, key)),
        degraded,
        posts: candidates.postIds.map((id) => state.get("post", id)),
        kept: [],
        authors: new Map(),
      };
    },
  });
  const { made: here } = await hydrated(state);
  const { made: fetched } = await hydrated(elsewhere(false));
  expect(fetched.matrices).toEqual(here.matrices);
  expect(fetched.columns?.log_position).toEqual(new Float64Array(table.n).fill(7));
  expect(fetched.failed).toBeUndefined();
  expect(asked).toEqual([
    {
      userId: expect.any(String),
      nowMs: expect.any(Number),
      postIds: table.postIds,
      authorIds: table.authorIds,
    },
  ]);
  const { made: partly } = await hydrated(elsewhere(true));
  expect(partly.matrices).toEqual(here.matrices);
  expect(partly.failed).toEqual(new Uint8Array(table.n).fill(1));
});

test("what is kept of posts is taken for these posts, also behind others that have dropped out", async () => {
  const from = takeRows(table, Int32Array.of(90, 3, 7));
  const age = (made: Hydrated, row: number) =>
    made.matrices?.[featureMatrix("heavy")]?.values[row * FEATURES.length] as number;
  const { made: here } = await hydrated(state, from);
  const { made } = await hydrated(
    {
      get: (entity, key) => state.get(entity, key),
      load: async ({ postIds }) => ({
        get: (entity, key) => state.get(entity, key),
        degraded: false,
        posts: postIds.map((id) => state.get("post", id)),
        kept: postIds.map((_, i) => new KeptRows(nowMs + i * 3_600_000)),
        authors: new Map(),
      }),
    },
    from,
  );
  for (let row = 0; row < 3; row++) expect(age(made, row)).toBeCloseTo(age(here, row) + row, 3);
});
