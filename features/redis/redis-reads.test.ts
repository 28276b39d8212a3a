import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Event } from "../../datasets/events.ts";
import { random } from "../../datasets/random.ts";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import {
  connectTest,
  REDIS_MISSING,
  type RedisServer,
  startRedis,
} from "../../datasets/storage/redis-server.fixture.ts";
import { applyEvent } from "../engine.ts";
import { ENTITIES, type Entity, type StateView, type VectorHolder } from "../entities.ts";
import { MemoryState } from "../memory-store.ts";
import { FeatureReader } from "../reader.ts";
import { FEATURE_NAMES, ID_COLUMNS, SLOTS } from "../registry.ts";
import { SharedReads } from "../shared-reads.ts";
import { smallWorld } from "../small-world.fixture.ts";
import { FeatureKeys } from "./feature-keys.ts";
import { LoadedFeatures } from "./loaded-features.ts";
import { packValue } from "./packed-value.ts";
import { readEntities } from "./read-entities.ts";
import { type FeatureLoad, RedisFeatureReads } from "./redis-reads.ts";
import { RedisFeatureStore } from "./redis-store.ts";

describe.skipIf(REDIS_MISSING)("reading features of Redis (needs redis-server)", () => {
  let server: RedisServer;
  let connection: RedisConnection;
  let spaces = 0;
  beforeAll(async () => {
    server = await startRedis();
    connection = await connectTest(server.url);
  });
  afterAll(async () => {
    await connection.close();
    await server.stop();
  });
  const space = (): RedisConnection => ({
    ...connection,
    target: { ...connection.target, prefix: `r${++spaces}:` },
  });
  const back = () => expect.poll(() => connection.client.ping().catch(() => "gone")).toBe("PONG");

  const FEATURE_SETS = [
    ["every feature", FEATURE_NAMES, ID_COLUMNS],
    ["a few of a post and its author", ["post.age_hours", "author.followers"], []],
    ["what needs topics only", ["topic.impressions_30m"], ["topic"]],
    ["what needs the viewer only", ["user.following"], []],
  ] as const;
  test.each(FEATURE_SETS)(
    "requests get the rows of a state in memory, to the bit, while the log is applied: %s",
    async (_, features, ids) => {
      const at = space();
      const events = smallWorld(51, { impressions: 250, deletions: true });
      const store = await RedisFeatureStore.open({
        connection: at,
        token: 1,
        now: () => 5,
        cacheEntries: 64,
      });
      const state = new MemoryState();
      const rnd = random(8, "reads");
      let now = 0;
      const entities = readEntities(features, ids);
      const reader = new FeatureReader(features, ids);
      const reads = new RedisFeatureReads(at, () => now, { entities, cacheBytes: 20_000 });
      const posts = new Map<string, string>();
      let compared = 0;
      for (let from = 0; from < events.length; ) {
        const batch = events.slice(from, from + 1 + rnd.below(60));
        from += batch.length;
        for (const event of batch) {
          applyEvent(state, event);
          if (event.type === "post_created") posts.set(event.post_id, event.author_id);
        }
        await store.transaction(from, (editor) => {
          for (const event of batch) applyEvent(editor, event);
        });
        // Copies of before the batch are not fresh any more.
        now += 1_000;
        const request = requestAt(batch.at(-1) as Event, [...posts], rnd.below(13));
        const loaded = await reads.load(request);
        expect(loaded.degraded).toBe(false);
        const expected = bits(rows(state, request, features, ids));
        expect(bits(rows(loaded, request, features, ids))).toBe(expected);
        // From copies, and from what was kept with them.
        for (let time = 0; time < 2; time++)
          expect(bits(rows(await reads.load(request), request, features, ids, reader))).toBe(
            expected,
          );
        compared++;
      }
      expect(compared).toBeGreaterThan(10);
    },
  );

  test("a copy is fresh for a second, then fetched again; each value says what it is", async () => {
    const at = space();
    const store = await RedisFeatureStore.open({ connection: at, token: 1, now: () => 5 });
    const put = (position: number, value: number) =>
      store.transaction(position, (state) => state.edit("post", "7").fill(value));
    await put(1, 1);
    let now = 10_000;
    const reads = new RedisFeatureReads(at, () => now);
    const load = () => reads.load({ userId: "1", postIds: ["7", "8"], authorIds: ["3"] });
    const first = await load();
    expect(first.counts.post).toEqual({ present: 1, missing: 1, stale: 0, expired: 0 });
    expect(first.counts.user_author).toEqual({ present: 0, missing: 2, stale: 0, expired: 0 });
    expect(first.oldestMs).toBe(0);
    await put(2, 2);
    now += 999;
    const second = await load();
    expect(second.get("post", "7")?.[0]).toBe(1);
    expect(second.oldestMs).toBe(999);
    now += 1;
    const third = await load();
    expect(third.get("post", "7")?.[0]).toBe(2);
    // What was loaded stays as it was.
    expect(first.get("post", "7")?.[0]).toBe(1);
    expect(third.oldestMs).toBe(0);
    expect(reads.counts.post).toEqual({ present: 3, missing: 3, stale: 0, expired: 0 });
  });

  test("while copies are fresh, what is made of a post or an author alone is of the moment they were fetched for", async () => {
    const at = space();
    const store = await RedisFeatureStore.open({ connection: at, token: 1, now: () => 5 });
    const events = smallWorld(51, { impressions: 100 });
    await store.transaction(1, (state) => {
      for (const event of events) applyEvent(state, event);
    });
    let now = 10_000;
    // The reader that keeps rows is the same in all requests.
    const features = ["post.age_hours", "author.account_age_days", "user_author.hours_since_seen"];
    const reader = new FeatureReader(features, []);
    const reads = new RedisFeatureReads(at, () => now, { entities: readEntities(features, []) });
    const posts = events.flatMap((e) =>
      e.type === "post_created" ? [[e.post_id, e.author_id]] : [],
    );
    const request = requestAt(events.at(-1) as Event, posts as [string, string][], 2);
    const at0 = rows(await reads.load(request), request, features, [], reader);
    now += 999;
    const soon = { ...request, nowMs: request.nowMs + 999 };
    const [first, second] = [await reads.load(soon), await reads.load(soon)];
    const made = rows(first, soon, features, [], reader);
    expect(rows(second, soon, features, [], reader)).toEqual(made);
    for (let i = 0; i < made.length; i++) if (i % 3 < 2) expect(made[i]).toBe(at0[i]);
    expect(made.some((value, i) => i % 3 === 2 && value !== at0[i] && !Number.isNaN(value))).toBe(
      true,
    );
    // A request of another time gets none of it, though copies are fresh.
    for (const hours of [1, -1]) {
      const other = { ...request, nowMs: request.nowMs + hours * 3_600_000 };
      const its = rows(await reads.load(other), other, features, [], reader);
      expect(its[0]).toBeCloseTo((at0[0] as number) + hours, 4);
    }
    now += 1;
    const again = rows(await reads.load(soon), soon, features, [], reader);
    expect(again[0]).toBeGreaterThan(at0[0] as number);
  });

  test("after forgetting no copy is used, nor one that was on its way then", async () => {
    const at = space();
    const store = await RedisFeatureStore.open({ connection: at, token: 1, now: () => 5 });
    await store.transaction(1, (state) => state.edit("post", "7").fill(1));
    const reads = new RedisFeatureReads(at, () => 10_000);
    const post: VectorHolder = {};
    const load = () =>
      reads.load({ userId: "1", postIds: ["7"], inHand: [post], authorIds: ["3"] });
    await load();
    await load();
    expect(post.vectorCell?.vector?.[0]).toBe(1);
    const onItsWay = reads.load({ userId: "1", postIds: ["8", "7"], authorIds: [] });
    await store.transaction(2, (state) => state.delete("post", "7"));
    reads.forget();
    expect(post.vectorCell?.vector).toBeUndefined();
    await onItsWay;
    expect((await load()).get("post", "7")).toBeUndefined();
    expect((await load()).counts.post).toEqual({ present: 0, missing: 1, stale: 0, expired: 0 });
  });

  test("when Redis is gone a request gets the copies there are, up to a minute old, and is told so; then Redis again", async () => {
    const at = space();
    let now = 10_000;
    const reads = new RedisFeatureReads(at, () => now);
    const load = (postId: string) => reads.load({ userId: "1", postIds: [postId], authorIds: [] });
    const fill = async (token: number, value: number) => {
      const store = await RedisFeatureStore.open({ connection: at, token, now: () => 5 });
      await store.transaction(1, (state) => state.edit("post", "7").fill(value));
    };
    await fill(1, 1);
    await load("7");
    await server.kill();
    now += 1_000;
    const stale = await load("7");
    expect(stale.degraded).toBe(true);
    expect(stale.get("post", "7")?.[0]).toBe(1);
    expect(stale.counts.post).toEqual({ present: 0, missing: 0, stale: 1, expired: 0 });
    expect(stale.oldestMs).toBe(1_000);
    const unknown = await load("8");
    expect(unknown.degraded).toBe(true);
    expect(unknown.counts.post).toEqual({ present: 0, missing: 1, stale: 0, expired: 0 });
    now += 59_000;
    expect((await load("7")).counts.post.stale).toBe(1);
    now += 1;
    const expired = await load("7");
    expect(expired.get("post", "7")).toBeUndefined();
    expect(expired.counts.post).toEqual({ present: 0, missing: 0, stale: 0, expired: 1 });
    await server.restart();
    await back();
    await fill(2, 2);
    const again = await load("7");
    expect(again.degraded).toBe(false);
    expect(again.get("post", "7")?.[0]).toBe(2);
  });

  test("a Redis that hangs is waited for once, up to the time that is given", async () => {
    const at = space();
    const store = await RedisFeatureStore.open({ connection: at, token: 1, now: () => 5 });
    const events = smallWorld(51, { impressions: 20 });
    await store.transaction(1, (state) => {
      for (const event of events) applyEvent(state, event);
    });
    let now = 10_000;
    const reads = new RedisFeatureReads(at, () => now, { timeoutMs: 150 });
    const request = requestAt(
      events.at(-1) as Event,
      events.flatMap((e) => (e.type === "post_created" ? [[e.post_id, e.author_id]] : [])),
      3,
    );
    const before = await reads.load(request);
    server.pause();
    try {
      now += 2_000;
      const loaded = await reads.load(request);
      expect(loaded.degraded).toBe(true);
      expect(rows(loaded, request, FEATURE_NAMES, ID_COLUMNS)).toEqual(
        rows(before, request, FEATURE_NAMES, ID_COLUMNS),
      );
      expect(loaded.counts.post.present).toBe(0);
      expect(loaded.counts.topic.stale).toBe(before.counts.topic.present);
    } finally {
      server.resume();
    }
    await back();
    expect((await reads.load(request)).degraded).toBe(false);
  });
});

describe("a Redis that answers in part", () => {
  const header = { token: 1, position: 1, timeMs: 1 };
  const keys = new FeatureKeys("");
  const ONES = packedOnes();

  function packedOnes(): Map<Entity, Buffer> {
    return new Map(
      ENTITIES.map((entity) => [
        entity,
        packValue(new Float64Array(SLOTS[entity]).fill(1), header),
      ]),
    );
  }

  /** All vectors are ones. Which commands of a request fail cannot be chosen on a real Redis. */
  function failing(fails: (keys: readonly string[]) => boolean): RedisConnection {
    const pipeline = () => {
      const asked: string[][] = [];
      return {
        mgetBuffer: (of: string[]) => asked.push(of),
        exec: async () =>
          asked.map((of) =>
            fails(of)
              ? [new Error("refused"), null]
              : [null, of.map((key) => ONES.get(keys.entityOf(key)))],
          ),
      };
    };
    const target = { prefix: "", nodes: [] };
    return { client: { pipeline }, target, close: async () => {} } as unknown as RedisConnection;
  }

  test.each([
    [5, true, false],
    [256, false, true],
  ])(
    "without the %i keys of a command: half a pair is used, and both halves are asked for again",
    async (failed, own, back) => {
      let keyCount = failed;
      // Behind the 87 authors themselves, the 85th pair's halves are the last and the first of two commands.
      const authorIds = Array.from({ length: 87 }, (_, i) => String(2 + i));
      const request = { userId: "1", postIds: [], authorIds };
      const redis = failing((of) => of.length === keyCount);
      const entities = new Set(["user_author"] as const);
      const reads = new RedisFeatureReads(redis, () => 10_000, { entities });
      const loaded = await reads.load(request);
      expect(loaded.degraded).toBe(true);
      expect(loaded.get("user_author", "1|86") !== undefined).toBe(own);
      expect(loaded.get("user_author", "86|1") !== undefined).toBe(back);
      keyCount = 0;
      const again = await reads.load(request);
      expect(again.degraded).toBe(false);
      expect(again.counts.user_author).toEqual({ present: 174, missing: 0, stale: 0, expired: 0 });
      expect(again.get("user_author", "1|86") && again.get("user_author", "86|1")).toBeDefined();
      expect(again.oldestMs).toBe(0);
    },
  );

  test("what is made while everybody's counts are missing is for nobody else", async () => {
    let fails = false;
    let now = 10_000;
    const redis = failing((of) => fails && of.some((key) => keys.entityOf(key) === "global"));
    const features = ["author.click_rate_50d"];
    const reader = new FeatureReader(features, []);
    const entities = readEntities(features, []);
    const reads = new RedisFeatureReads(redis, () => now, { entities, staleMs: 1_000 });
    const request = {
      userId: "1",
      nowMs: 5_000,
      postIds: ["7"],
      authorIds: ["3"],
      authorOf: ["3"],
    };
    const [expected] = rows(await reads.load(request), request, features, [], reader);
    expect(expected).not.toBeNaN();
    now += 1_001;
    fails = true;
    await reads.load(request);
    // The author is here again, everybody's counts are not.
    const partly = await reads.load(request);
    expect(partly.degraded).toBe(true);
    expect(partly.counts.author.present).toBe(1);
    expect(rows(partly, request, features, [], reader)[0]).toBeNaN();
    fails = false;
    const whole = await reads.load(request);
    expect(whole.degraded).toBe(false);
    expect(rows(whole, request, features, [], reader)[0]).toBe(expected);
  });

  test("what stands in for an answer is what there was when Redis was asked, whoever is kept meanwhile", async () => {
    let fails = false;
    let now = 10_000;
    const redis = failing((of) => fails && of.length === 256);
    // Room for one post: keeping one throws out another.
    const options = { entities: new Set(["post"] as const), cacheBytes: 1 };
    const reads = new RedisFeatureReads(redis, () => now, options);
    await reads.load({ userId: "1", postIds: ["7"], authorIds: [] });
    now += 1_000;
    fails = true;
    // Everybody's counts, the viewer and 254 posts, then one post that is answered.
    const postIds = Array.from({ length: 255 }, (_, i) => String(7 + i));
    const loaded = await reads.load({ userId: "1", postIds, authorIds: [] });
    expect(loaded.counts.post).toEqual({ present: 1, missing: 253, stale: 1, expired: 0 });
    expect(loaded.get("post", "7")?.[0]).toBe(1);
  });
});

/** The request of some viewer for all posts, at the moment of an event. */
function requestAt(
  { time_ms }: Event,
  posts: readonly (readonly string[])[],
  viewer: number,
): FeatureLoad & { nowMs: number; authorOf: readonly string[] } {
  const authorOf = posts.map(([, author]) => author as string);
  return {
    userId: String(1 + viewer),
    nowMs: time_ms,
    surface: "home",
    postIds: posts.map(([id]) => id as string),
    authorOf,
    authorIds: authorOf,
  };
}

/** The matrix, then the hashes of ids. */
function rows(
  view: StateView,
  request: ReturnType<typeof requestAt>,
  features: readonly string[],
  ids: readonly (typeof ID_COLUMNS)[number][],
  reader = new FeatureReader(features, ids),
): Float64Array {
  const { postIds, authorOf } = request;
  const matrix = new Float32Array(postIds.length * features.length);
  const hashes = new Uint32Array(postIds.length * ids.length);
  const loaded = view instanceof LoadedFeatures ? view : undefined;
  reader.begin(view, request, loaded && new SharedReads(loaded.authors));
  const posts = loaded?.posts ?? postIds.map((id) => view.get("post", id));
  reader.rows(posts, authorOf, matrix, hashes, 0, postIds.length, loaded?.kept);
  return Float64Array.of(...matrix, ...hashes);
}

const bits = (values: Float64Array): string => Buffer.from(values.buffer).toString("base64");
