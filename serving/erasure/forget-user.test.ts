import { readFileSync } from "node:fs";
import { join } from "node:path";
import { serialize } from "node:v8";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Event } from "../../datasets/events.ts";
import { EventSchema } from "../../datasets/events.ts";
import { openLmdb } from "../../datasets/storage/lmdb.ts";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import {
  connectTest,
  REDIS_MISSING,
  type RedisServer,
  startRedis,
} from "../../datasets/storage/redis-server.fixture.ts";
import {
  type LmdbStickyStore,
  lmdbStickyStore,
} from "../../experiments/assignment/lmdb-sticky-store.ts";
import { HEADER_BYTES } from "../../features/redis/packed-value.ts";
import { tinyTowers } from "../inference/tiny-towers.fixture.ts";
import { RankingStore } from "../paging/ranking-store.ts";
import { PostVectors } from "../state/post-vectors.ts";
import {
  POST_IDS,
  type Running,
  running,
  type SmallSpace,
  smallLog,
  smallSpace,
  ALIVE as USER,
  USER_IDS,
} from "../state/small-space.fixture.ts";
import { readSnapshot } from "../state/snapshot.ts";
import { formsOf, keysWith, timelinesWith } from "./traces.fixture.ts";

const PREFIX = "t:";
const log = smallLog(37);
const lastMs = Math.max(...log.map(({ time_ms }) => time_ms));
const OTHER = USER_IDS.find((id) => id !== USER) as string;
/** What is older is in no store any more and only its id may still stand far down in a timeline. */
const KEPT_MS = 47 * 3_600_000;
const OWN = log.flatMap((event) =>
  event.type === "post_created" && event.author_id === USER && event.time_ms > lastMs - KEPT_MS
    ? [event.post_id]
    : [],
);

const event = (fields: Record<string, unknown>): Event =>
  EventSchema.parse({ time_ms: lastMs + 1, ...fields }) as Event;
const DELETION = event({ type: "user_deleted", user_id: USER });
/** What was said of the user before the deletion and comes behind it. */
const LATE = [
  { type: "impression", user_id: USER, post_id: POST_IDS[0], request_id: "l", position: 0 },
  { type: "follow", user_id: USER, target_id: OTHER },
  { type: "follow", user_id: OTHER, target_id: USER },
  { type: "mute", user_id: OTHER, target_id: USER },
  { type: "muted_keywords_set", user_id: USER, keywords: ["rain"] },
  { type: "post_created", author_id: USER, post_id: POST_IDS[0] + "0".slice(1), text: "late" },
].map((fields) => event({ ...fields, time_ms: lastMs }));

/** Every state that holds something of users, by name; on Redis feature state is there instead of in tables. */
const HELD = [
  "posts: posts",
  "popular: posts",
  "graph: following",
  "graph: blocked",
  "graph: blockedBy",
  "graph: muted",
  "graph: keywords",
  "graph: languages",
  "graph: stated",
  "history: seen",
  "history: served",
  "activity: lastMs",
  "table counts/edges",
  "table sticky",
  "post vectors",
];
const HELD_EMBEDDED = [
  "table features/author",
  "table features/post",
  "table features/user",
  "table features/user_author",
  "table features/user_follows",
  "table features/user_media",
  "table features/user_surface",
  "table features/user_topic",
];
const HELD_ON_REDIS = ["key f:", "key t:", "posts in timelines"];
/** What keeps late records of the user's out. */
const TOMBSTONES = [
  "posts: deletedAuthors",
  "popular: deletedAuthors",
  "graph: deleted",
  "table counts/deleted",
];

/** Others' posts that answer, repost or quote one of the user's say whose it was. */
const NAMED_BY_OTHERS = ["posts: posts"];
/** Late signals count for posts and authors, and make vectors of the user's anew: those go with an erasure. */
const MADE_BY_LATE_SIGNALS = ["key f:", ...HELD_EMBEDDED];

interface Serving {
  readonly space: Running;
  readonly rankings: RankingStore<{ readonly items: readonly string[]; readonly viewer: string }>;
  readonly sticky: LmdbStickyStore;
}

/** A server's parts that hold something of users, as `openServer` puts them together. */
async function serving<T>(space: SmallSpace, use: (server: Serving) => Promise<T>): Promise<T> {
  return running(space, async (opened) => {
    const { live, source, dir } = opened;
    const root = openLmdb(dir.at("sticky"));
    const sticky = lmdbStickyStore(root);
    live.onUserDeleted(({ user_id }) => sticky.forget(user_id));
    const rankings: Serving["rankings"] = new RankingStore({ ttlMs: 1_000, capacity: 10 });
    live.onUserDeleted(({ user_id }) => rankings.forget(({ viewer }) => viewer === user_id));
    const { posts } = live.broadcast;
    const vectors = new PostVectors({
      posts,
      features: source,
      dir: dir.at("vectors"),
      nowMs: () => posts.newestMs,
      session: { inlineParameters: 1 },
      logger: pino({ level: "silent" }),
    });
    live.onApplied((events) => vectors.apply(events));
    try {
      await vectors.replace(tinyTowers(5));
      const used = await use({ space: opened, rankings, sticky });
      await vectors.settled();
      return used;
    } finally {
      await vectors.close();
      await root.close();
    }
  });
}

/** Where what a stopped server left tells of the user, by the name of the state. */
async function tracesIn({ path, redis }: SmallSpace): Promise<string[]> {
  const forms = formsOf(USER);
  const tells = (bytes: Buffer): boolean => forms.some((form) => bytes.includes(form));
  const found: string[] = [];
  const snapshot = await readSnapshot(join(path, "broadcast.snapshot"));
  for (const [part, state] of Object.entries(snapshot?.states ?? {}))
    for (const [field, value] of Object.entries(state as object))
      if (tells(serialize(value))) found.push(`${part}: ${field}`);
  for (const environment of ["state", "sticky"]) {
    const root = openLmdb(join(path, environment));
    for (const name of root.getKeys()) {
      const table = root.openDB<Buffer, Buffer>({
        name: String(name),
        keyEncoding: "binary",
        encoding: "binary",
      });
      for (const { key, value } of table.getRange())
        if (tells(Buffer.concat([key, value]))) {
          found.push(`table ${String(name)}`);
          break;
        }
    }
    await root.close();
  }
  const ids = readFileSync(join(path, "vectors", "ids"), "utf8");
  if (OWN.some((id) => ids.includes(id))) found.push("post vectors");
  if (redis === undefined) return found;
  for (const key of await keysWith(redis, USER)) {
    const name = key.slice(PREFIX.length);
    if (!name.startsWith("{p0}")) found.push(await familyOf(redis, key));
  }
  for (const id of OWN)
    if ((await timelinesWith(redis, id)).length > 0) found.push("posts in timelines");
  return [...new Set(found)];
}

async function familyOf({ client }: RedisConnection, key: string): Promise<string> {
  const family = `key ${key.slice(PREFIX.length, PREFIX.length + 2)}`;
  if (family !== "key f:") return family;
  // The record of the last batch, which the next one takes the place of.
  if (key.endsWith(":redo")) return "last batch";
  // A removed vector's header is kept for an hour, so that a slow writer does not bring the vector back.
  return (await client.strlen(key)) === HEADER_BYTES ? "removed vectors" : family;
}

let server: RedisServer | undefined;
let connection: RedisConnection | undefined;
beforeAll(async () => {
  if (REDIS_MISSING !== undefined) return;
  server = await startRedis();
  connection = await connectTest(server.url, PREFIX);
});
afterAll(async () => {
  await connection?.close();
  await server?.stop();
});

describe.each([
  ["embedded", (): RedisConnection | undefined => undefined, undefined],
  ["on Redis (needs redis-server)", (): RedisConnection | undefined => connection, REDIS_MISSING],
] as const)("%s", (_, redisOf, missing) => {
  test.skipIf(missing)(
    "a deleted user is in every state by name, and then in none but as deleted",
    async () => {
      const redis = redisOf();
      const space = await smallSpace(log.slice(0, 400), redis);
      await serving(space, async ({ space, sticky }) => {
        const arm = { attributeName: "user_id", assignments: { a__0: "1" } };
        await sticky.merge({ ...arm, attributeValue: USER });
        await space.append(log.slice(400));
        // Reading makes a timeline.
        await space.timeline(USER, { limit: 10, nowMs: lastMs });
        await space.settled();
      });
      const held = [...HELD, ...(redis === undefined ? HELD_EMBEDDED : HELD_ON_REDIS)];
      expect(await tracesIn(space)).toEqual(expect.arrayContaining(held));
      await serving(space, async ({ space, rankings }) => {
        rankings.put("r", { items: [], viewer: USER }, 0);
        expect(rankings.size).toBe(1);
        await space.append([DELETION]);
        expect(rankings.size).toBe(0);
      });
      const left = [
        ...TOMBSTONES,
        ...NAMED_BY_OTHERS,
        ...(redis === undefined ? [] : ["last batch", "removed vectors"]),
      ];
      expect((await tracesIn(space)).sort()).toEqual(left.sort());
      await serving(space, ({ space }) => space.append(LATE));
      const behind = await tracesIn(space);
      expect(behind.filter((name) => !MADE_BY_LATE_SIGNALS.includes(name)).sort()).toEqual(left);
    },
  );
});
