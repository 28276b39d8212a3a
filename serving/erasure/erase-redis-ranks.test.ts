import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { segmentsDir } from "../../datasets/dataset.ts";
import type { Event, LoggedEvent } from "../../datasets/events.ts";
import { ERASED_AUTHOR } from "../../datasets/log/erased-event.ts";
import { SegmentWriter } from "../../datasets/log/segments.ts";
import { openDataDir } from "../../datasets/storage/data-dir.ts";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import {
  connectTest,
  REDIS_MISSING,
  startRedis,
  startRedisCluster,
} from "../../datasets/storage/redis-server.fixture.ts";
import { previewRanking } from "../rank-service.ts";
import {
  finallyDo,
  freshSpace,
  NODE_ARGS,
  plainEnv,
  roost,
  type TestServer,
  testServer,
} from "../space.fixture.ts";
import { rebuildState } from "../state/open-state.ts";
import { type ErasureReceipt, receiptHash } from "./erase-user.ts";
import { ERASURE_STEPS } from "./steps.ts";
import { filesWith, keysWith } from "./traces.fixture.ts";

const CRASH = fileURLToPath(new URL("./erase.crash.ts", import.meta.url));
const DEMO = fileURLToPath(new URL("../experiments/demo.yaml", import.meta.url));
const PREFIX = "t:";
/** A killed erasure's lease is had again after so long. */
const LEASE_TTL_MS = 400;
const POST = "900000000000000001";

interface Lived {
  readonly dir: string;
  readonly redisUrl: string;
  readonly redis: RedisConnection;
  readonly user: string;
  /** Somebody who follows the user. */
  readonly other: string;
  readonly viewers: readonly string[];
  /** The log before anything is erased, and what viewers saw. */
  readonly log: readonly LoggedEvent[];
  readonly seen: unknown;
}

const open = ({ dir, redisUrl }: Pick<Lived, "dir" | "redisUrl">): Promise<TestServer> =>
  testServer({ dir, settings: { redisUrl }, leaseTtlMs: LEASE_TTL_MS });

/** What these viewers see, and how it was scored, without a trace of having looked. */
async function seenBy(server: TestServer, viewers: readonly string[]): Promise<unknown> {
  const pages: unknown[] = [];
  for (const user_id of viewers) {
    const request = { user_id, product: "for_you", limit: 40 } as const;
    const { items, record } = await previewRanking(server.parts, request, server.startMs + 5_000);
    expect(record.degraded()).toEqual([]);
    const { body } = await server.get(`/v1/timelines/following/${user_id}?limit=100`);
    const { items: followed, degraded } = body as { items: { post_id: string }[]; degraded: [] };
    expect(degraded).toEqual([]);
    pages.push({ user_id, items, followed: followed.map(({ post_id }) => post_id) });
  }
  return pages;
}

/** A space on Redis in which a user posts, acts, is followed, shown, deleted from nothing; a part of it is rolled. */
async function livedOn(url: string): Promise<Lived> {
  const redisUrl = `${url}?prefix=${PREFIX}`;
  const redis = await connectTest(url, PREFIX);
  finallyDo(() => redis.close());
  const dir = await freshSpace();
  const experimentsFile = join(dir, "experiments.yaml");
  const text = await readFile(DEMO, "utf8");
  await writeFile(
    experimentsFile,
    text.replace("hashAttribute: user_id", "hashAttribute: user_id\n    sticky: true"),
  );
  const server = await testServer({
    dir,
    settings: { redisUrl, experimentsFile },
    leaseTtlMs: LEASE_TTL_MS,
    candidateLogShare: 1,
  });
  const { graph } = server.parts;
  const [user, other, ...viewers] = [...graph.users()].filter(
    (each) => graph.following(each).size >= 20,
  ) as [string, string, ...string[]];
  server.advance(1_000);
  // Whoever was here is pushed to.
  for (const user_id of [other, viewers[0]]) await server.rank({ user_id });
  await server.send([
    { type: "follow", user_id: other, target_id: user, event_id: "others" },
    { type: "follow", user_id: viewers[0], target_id: user },
  ]);
  for (let i = 0; i < 3; i++) {
    const post = { author_id: user, text: "mine", post_id: String(BigInt(POST) + BigInt(i)) };
    await server.send([{ type: "post_created", event_id: `p${i}`, ...post }]);
    const seen = { user_id: other, post_id: post.post_id, request_id: "r" };
    await server.send([
      { type: "impression", position: 0, author_id: user, ...seen },
      { type: "engagement", head: "favorite", author_id: user, ...seen },
    ]);
  }
  await server.rank({ user_id: user });
  await server.rank({ user_id: other });
  const followed = [...graph.following(user)].find((id) => graph.following(id).size > 0) as string;
  await server.send([
    { type: "mute", user_id: user, target_id: followed, event_id: "m" },
    { type: "muted_keywords_set", user_id: user, keywords: ["rain"] },
    { type: "post_created", post_id: "900000000000000100", author_id: followed, text: "theirs" },
  ]);
  const asked = [other, ...viewers.slice(0, 4)];
  await seenBy(server, asked);
  await server.settled();
  const log = await server.records();
  await server.close();
  const again = await open({ dir, redisUrl });
  const seen = await seenBy(again, asked);
  await again.close();
  return { dir, redisUrl, redis, user, other, viewers: asked, log, seen };
}

const mentions = (event: Event, id: string): boolean => JSON.stringify(event).includes(`"${id}"`);

/** The log of a space in which the user never was: told apart from the code that erases. */
function without(events: readonly LoggedEvent[], user: string): Event[] {
  const kept: Event[] = [];
  for (const { seq: _, ...event } of events) {
    const named = event as Record<string, unknown>;
    if (named.user_id === user || named.target_id === user) continue;
    if (/^post_(created|deleted)$/.test(event.type) && named.author_id === user) continue;
    const entries = Object.entries(event).filter(([, value]) => value !== user);
    const text = JSON.stringify(Object.fromEntries(entries));
    kept.push(JSON.parse(text.replaceAll(`"${user}"`, `"${ERASED_AUTHOR}"`)));
  }
  return kept;
}

/** A copy of the space, embedded, whose whole log is these events. */
async function spaceOf(dir: string, events: readonly Event[]): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), "roost-never-"));
  finallyDo(() => rm(copy, { recursive: true, force: true }));
  await cp(dir, copy, { recursive: true });
  for (const name of ["segments", "log", "state", "broadcast.snapshot", "on-redis.json", "lock"])
    await rm(join(copy, name), { recursive: true, force: true });
  const writer = new SegmentWriter(segmentsDir(copy));
  await writer.appendAll(events);
  await writer.close();
  const owned = openDataDir(copy, "own");
  await rebuildState(owned, () => {});
  owned.close();
  return copy;
}

/** Begins to erase and is killed. */
async function killedAt(step: string, { dir, redisUrl, user }: Lived): Promise<void> {
  const child = spawn(
    process.execPath,
    [...NODE_ARGS, CRASH, dir, redisUrl, user, step, String(LEASE_TTL_MS)],
    { env: plainEnv(), stdio: ["ignore", "ignore", "inherit"] },
  );
  const [, signal] = await once(child, "exit");
  expect(signal).toBe("SIGKILL");
}

async function erased({ dir, redisUrl, user }: Lived): Promise<ErasureReceipt> {
  const args = ["--user", user, "--data-dir", dir, "--redis-url", redisUrl, "--json"];
  const ended = await roost(["erase", ...args]);
  expect(ended.code, ended.stderr).toBe(0);
  return JSON.parse(ended.stdout) as ErasureReceipt;
}

const SERVERS = [
  ["a single Redis", () => startRedis({ durable: true })],
  ["a Cluster of three masters", () => startRedisCluster(3, 0, { durable: true })],
] as const;

describe.skipIf(REDIS_MISSING).each(SERVERS)("on %s (needs redis-server)", (_, start) => {
  let lived: Lived;
  let receipt: ErasureReceipt;

  beforeAll(async () => {
    const redis = await start();
    finallyDo(() => redis.stop());
    lived = await livedOn(redis.url);
  });

  test("before, the user is in many places", async () => {
    const { dir, redis, user, other } = lived;
    expect(filesWith(dir, user)).toEqual(
      expect.arrayContaining(["broadcast.snapshot", "state/data.mdb", "sticky/data.mdb"]),
    );
    const keys = await keysWith(redis, user);
    expect(keys).toContain(`${PREFIX}{p0}log`);
    expect(keys).toContain(`${PREFIX}t:{${user}}`);
    expect(keys.filter((key) => key.startsWith(`${PREFIX}f:`)).length).toBeGreaterThan(20);
    expect(await keysWith(redis, POST)).toContain(`${PREFIX}t:{${other}}`);
  });

  test("an erasure that is killed in any step leaves the user whole, and the next one finishes it", async () => {
    const steps = ERASURE_STEPS.slice(1);
    for (const step of steps) await killedAt(step, lived);
    const server = await open(lived);
    expect(await seenBy(server, lived.viewers)).toEqual(lived.seen);
    await server.close();
    await delay(LEASE_TTL_MS);
    receipt = await erased(lived);
  });

  test("no file and no key tells the id any more, nor does a timeline the user's posts", async () => {
    const { dir, redis, user } = lived;
    expect(filesWith(dir, user)).toEqual([]);
    expect(await keysWith(redis, user)).toEqual([]);
    expect((await keysWith(redis, POST)).filter((key) => key.startsWith(`${PREFIX}t:`))).toEqual(
      [],
    );
    expect(await redis.client.exists(`${PREFIX}{p0}id:"p0"`, `${PREFIX}{p0}id:"m"`)).toBe(0);
    expect(await redis.client.exists(`${PREFIX}{p0}id:"others"`)).toBe(0);
  });

  test("the receipt says what was removed on Redis too", () => {
    const { dir, user, log } = lived;
    expect(receipt).toMatchObject({
      format: 2,
      user_sha256: receiptHash(user, receipt.salt),
      redis: { files: { refused: [] } },
    });
    const own = log.filter((event) => "user_id" in event && event.user_id === user);
    expect(receipt.records_removed.served).toBe(own.filter(({ type }) => type === "served").length);
    expect(readdirSync(join(dir, "erasures"))).toHaveLength(1);
  });

  test("the next start shows and scores what a space does in which the user never was", async () => {
    const { dir, redis, user, viewers, log } = lived;
    const never = await testServer({ dir: await spaceOf(dir, without(log, user)) });
    const wanted = await seenBy(never, viewers);
    const server = await open(lived);
    expect(await seenBy(server, viewers)).toEqual(wanted);
    expect(wanted).not.toEqual(lived.seen);
    const after = await server.records();
    expect(after.map(({ seq }) => seq)).toEqual(log.map(({ seq }) => seq));
    expect(after.filter((event) => mentions(event, user))).toEqual([]);
    await server.close();
    expect(await keysWith(redis, user)).toEqual([]);
    expect(filesWith(dir, user)).toEqual([]);
  });
});
