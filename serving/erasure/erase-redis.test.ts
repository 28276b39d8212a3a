import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Event, LoggedEvent } from "../../datasets/events.ts";
import { openDataDir } from "../../datasets/storage/data-dir.ts";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import {
  connectTest,
  REDIS_MISSING,
  startRedis,
  startRedisCluster,
} from "../../datasets/storage/redis-server.fixture.ts";
import { eraseCommand } from "../commands/erase.ts";
import {
  countsOf,
  DELETED,
  featuresOf,
  type Running,
  running,
  type SmallSpace,
  smallLog,
  smallSpace,
  timelinesOf,
  ALIVE as USER,
  userId,
} from "../state/small-space.fixture.ts";
import { type ErasureReceipt, receiptHash } from "./erase-users.ts";
import { holdRedisSpace } from "./redis-space.ts";
import { filesWith, keysWith, timelinesWith } from "./traces.fixture.ts";
import { UNFINISHED } from "./unfinished.ts";
import { isOf, without } from "./without.fixture.ts";

const CRASH = fileURLToPath(new URL("./erase.crash.ts", import.meta.url));
const PREFIX = "t:";
/** What is killed keeps the space so long. */
const LEASE_TTL_MS = 300;
const log = smallLog(31);
const ROLLED = Math.floor(0.6 * log.length);

/** What a space shows, by the state that it comes from. */
async function told(space: SmallSpace): Promise<Record<string, unknown>> {
  return running(space, async (server) => {
    const { graph, history, popular } = server.live.broadcast;
    return {
      timelines: await timelinesOf(server),
      popular: popular.top(server.live.broadcast.posts.newestMs, 50, new Set(), () => true).postIds,
      graph: structuredClone(graph.snapshot()),
      history: structuredClone(history.snapshot()),
      counts: countsOf(server),
      features: await featuresOf(server),
    };
  });
}

const mentions = (event: Event, id: string): boolean => JSON.stringify(event).includes(`"${id}"`);
const recordsOf = (space: SmallSpace): Promise<LoggedEvent[]> =>
  running(space, (server) => server.records());

/** Begins to erase, and is killed when the step begins. */
async function killedAt(step: string, path: string, url: string): Promise<void> {
  const args = ["--import", "tsx", CRASH, path, url, USER, step, String(LEASE_TTL_MS)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
  const [, signal] = await once(child, "exit");
  expect(signal).toBe("SIGKILL");
}

const erase = (path: string, ...more: string[]): Promise<void> =>
  eraseThose(["--user", USER], path, ...more);

async function eraseThose(who: readonly string[], path: string, ...more: string[]): Promise<void> {
  const said = [process.stdout, process.stderr].map((stream) =>
    vi.spyOn(stream, "write").mockReturnValue(true),
  );
  try {
    const args = [...who, "--data-dir", path, ...more];
    await eraseCommand().parseAsync(args, { from: "user" });
  } finally {
    for (const spy of said) spy.mockRestore();
  }
}

const SERVERS = [
  ["a single Redis", false, () => startRedis({ args: ["--appendonly", "yes"] })],
  ["a Cluster of three masters", true, () => startRedisCluster()],
] as const;

describe.skipIf(REDIS_MISSING).each(SERVERS)(
  "on %s (needs redis-server)",
  (_, isCluster, start) => {
    let server: Awaited<ReturnType<typeof start>>;
    let url: string;
    let redis: RedisConnection;
    let space: SmallSpace;
    let before: readonly LoggedEvent[];
    let shownBefore: Record<string, unknown>;
    let inStream: readonly LoggedEvent[];
    /** A post of the user's that lies in timelines. */
    let post: string;
    let receipt: ErasureReceipt;

    beforeAll(async () => {
      server = await start();
      url = `${server.url}?prefix=${PREFIX}`;
      redis = await connectTest(server.url, PREFIX);
      space = await smallSpace(log.slice(0, ROLLED), redis);
      await running(space, async (opened: Running) => {
        await opened.append(log.slice(ROLLED));
        inStream = (await opened.records()).slice(ROLLED);
      });
      before = await recordsOf(space);
      shownBefore = await told(space);
      const own = log.flatMap((event) =>
        event.type === "post_created" && event.author_id === USER ? [event.post_id] : [],
      );
      for (const postId of own) if ((await timelinesWith(redis, postId)).length > 0) post = postId;
    });
    afterAll(async () => {
      await redis?.close();
      await server?.stop();
    });

    const idKey = (event: Event): string => `${PREFIX}{p0}id:"${event.event_id}"`;
    const diskOf = async (): Promise<string[]> => {
      const [, dir] = (await (redis.client as Redis).config("GET", "dir")) as [string, string];
      return filesWith(dir, USER);
    };

    test("before, the user is everywhere", async () => {
      expect(filesWith(space.path, USER)).toEqual(["broadcast.snapshot", "state/data.mdb"]);
      const keys = await keysWith(redis, USER);
      expect(keys).toEqual(expect.arrayContaining([`${PREFIX}{p0}log`, `${PREFIX}t:{${USER}}`]));
      expect(keys.filter((key) => key.startsWith(`${PREFIX}f:`)).length).toBeGreaterThan(20);
      expect(post).toBeDefined();
      if (!isCluster) expect(await diskOf()).not.toEqual([]);
    });

    test("a space that a server has is refused, and so is one whose Redis is not named or another", async () => {
      await expect(erase(space.path)).rejects.toMatchObject({ code: "BAD_ARGUMENT" });
      await expect(
        erase(space.path, "--redis-url", `${server.url}?prefix=other:`),
      ).rejects.toMatchObject({ code: "BAD_ARGUMENT" });
      await running(space, async () => {
        await expect(erase(space.path, "--redis-url", url)).rejects.toMatchObject({
          code: "DATA_DIR_LOCKED",
        });
        const elsewhere = mkdtempSync(join(tmpdir(), "roost-elsewhere-"));
        const dir = openDataDir(elsewhere, "own");
        const held = holdRedisSpace(dir, {
          connection: redis,
          owner: randomUUID(),
          nowMs: 0,
          wallMs: () => 0,
          leaseTtlMs: LEASE_TTL_MS,
        });
        await expect(held).rejects.toMatchObject({ code: "FENCED" });
        dir.close();
        rmSync(elsewhere, { recursive: true });
      });
      expect(await recordsOf(space)).toEqual(before);
    });

    if (isCluster)
      test("an erasure that is not killed ends by itself", () =>
        erase(space.path, "--redis-url", url));
    else {
      test("an erasure that is killed before its files are in place leaves the user as whole as before", async () => {
        await killedAt("putting the files in place", space.path, url);
        expect(readdirSync(space.path)).not.toContain("erasures");
        for (const event of inStream)
          expect(await redis.client.exists(idKey(event)), event.event_id).toBe(1);
        expect(await told(space)).toEqual(shownBefore);
        expect(await recordsOf(space)).toEqual(before);
      });

      test("one that is killed behind them is finished by the next start", async () => {
        await killedAt("removing event ids from Redis", space.path, url);
        await recordsOf(space);
      });
    }

    test("then no file and no key tells the id, and no timeline the user's posts", async () => {
      expect(readdirSync(space.path)).not.toContain(UNFINISHED);
      expect(filesWith(space.path, USER)).toEqual([]);
      expect(await keysWith(redis, USER)).toEqual([]);
      expect(await timelinesWith(redis, post)).toEqual([]);
      for (const event of inStream)
        expect(await redis.client.exists(idKey(event)), event.event_id).toBe(
          isOf(event, USER) ? 0 : 1,
        );
      if (!isCluster) expect(await diskOf()).toEqual([]);
    });

    test("the receipt counts what is gone from Redis too, and does not tell whose it was", async () => {
      const [name] = readdirSync(join(space.path, "erasures"));
      const text = readFileSync(join(space.path, "erasures", name as string), "utf8");
      receipt = JSON.parse(text) as ErasureReceipt;
      expect(text).not.toContain(USER);
      expect(receipt.user_sha256).toBe(receiptHash(USER, receipt.salt));
      const gone = before.filter((event) => isOf(event, USER));
      const sum = Object.values(receipt.records_removed).reduce((a, b) => a + b, 0);
      expect(sum).toBe(gone.length);
      expect(receipt.format).toBe(3);
      expect(receipt.redis).toMatchObject({
        event_ids: inStream.filter((event) => isOf(event, USER)).length,
        files: { asked: isCluster ? 0 : 1, done: isCluster ? 0 : 1, refused: [] },
      });
      // What a killed one before had rolled is in no stream any more.
      const streamed = isCluster ? inStream.filter((event) => isOf(event, USER)).length : 0;
      expect(receipt.redis?.stream_records).toBe(streamed);
      expect(receipt.redis?.feature_keys).toBeGreaterThan(100);
      expect(receipt.redis?.timeline_keys).toBeGreaterThan(8);
    });

    test("the next start is that of a space in which the user never was", async () => {
      const after = await recordsOf(space);
      expect(after.map(({ seq, time_ms }) => [seq, time_ms])).toEqual(
        before.map(({ seq, time_ms }) => [seq, time_ms]),
      );
      expect(after.filter((event) => mentions(event, USER))).toEqual([]);
      const never = await smallSpace(without(before, USER));
      const wanted = await told(never);
      const found = await told(space);
      for (const state of Object.keys(wanted))
        expect.soft(found[state], state).toEqual(wanted[state]);
      expect(found.features).not.toEqual(shownBefore.features);
      expect(await keysWith(redis, USER)).toEqual([]);
      expect(filesWith(space.path, USER)).toEqual([]);
      // The search does find who stayed.
      expect(await keysWith(redis, userId(6))).not.toEqual([]);
      expect(filesWith(space.path, userId(6))).not.toEqual([]);
      await running(space, (opened) =>
        opened.append([{ ...(log.at(-1) as Event), event_id: "new" }]),
      );
      expect((await recordsOf(space)).at(-1)?.seq).toBe(before.length + 1);
    });

    test("then whoever the log says is deleted", async () => {
      expect(await keysWith(redis, DELETED)).not.toEqual([]);
      await eraseThose(["--deleted"], space.path, "--redis-url", url);
      expect(await keysWith(redis, DELETED)).toEqual([]);
      expect(filesWith(space.path, DELETED)).toEqual([]);
      const records = await recordsOf(space);
      expect(records).toHaveLength(before.length + 1);
      expect(records.filter((event) => mentions(event, DELETED))).toEqual([]);
      expect(readdirSync(join(space.path, "erasures"))).toHaveLength(2);
    });
  },
);
