import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { segmentsDir } from "../../datasets/dataset.ts";
import type { Event } from "../../datasets/events.ts";
import { SegmentWriter } from "../../datasets/log/segments.ts";
import { openDataDir } from "../../datasets/storage/data-dir.ts";
import { REDIS_MISSING, startRedis } from "../../datasets/storage/redis-server.fixture.ts";
import { previewRanking } from "../rank-service.ts";
import { finallyDo, freshSpace, roost, type TestServer, testServer } from "../space.fixture.ts";
import { rebuildState } from "../state/open-state.ts";
import { filesWith } from "./traces.fixture.ts";
import { without } from "./without.fixture.ts";

/** A server that is not killed gives its lease back; what is to be waited for is short all the same. */
const LEASE_TTL_MS = 400;

/** What these viewers see and how it was scored, without a trace of having looked. */
async function seenBy(server: TestServer, viewers: readonly string[]): Promise<unknown> {
  const pages: unknown[] = [];
  for (const user_id of viewers) {
    const request = { user_id, product: "for_you", limit: 40, explain: true } as const;
    const { record, table, page } = await previewRanking(
      server.parts,
      request,
      server.startMs + 9_000,
    );
    expect(record.degraded()).toEqual([]);
    const scores = Array.from(page, (row) => [table.postIds[row], table.score[row]]);
    expect(scores).toHaveLength(40);
    pages.push({ user_id, scores });
  }
  return pages;
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

test.skipIf(REDIS_MISSING)(
  "on Redis, when a user is erased, others see the posts and scores of a space in which the user never was (needs redis-server)",
  async () => {
    const redis = await startRedis();
    finallyDo(() => redis.stop());
    const dir = await freshSpace();
    const settings = { redisUrl: redis.url };
    const server = await testServer({ dir, settings, leaseTtlMs: LEASE_TTL_MS });
    const { graph } = server.parts;
    const [user, ...viewers] = [...graph.users()]
      .filter((each) => graph.following(each).size >= 20)
      .slice(0, 5) as [string, ...string[]];
    server.advance(1_000);
    const post = { author_id: user, post_id: "900000000000000001", text: "mine" };
    await server.send([
      { type: "post_created", ...post },
      ...viewers.map((user_id) => ({ type: "follow", user_id, target_id: user })),
      ...viewers.map((user_id) => ({
        ...{ type: "engagement", head: "favorite", user_id },
        ...{ post_id: post.post_id, author_id: user },
      })),
    ]);
    await server.rank({ user_id: user });
    await server.settled();
    const before = await seenBy(server, viewers);
    const log = await server.records();
    await server.close();

    const args = ["erase", "--user", user, "--data-dir", dir, "--redis-url", redis.url];
    const ended = await roost(args);
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stdout).toMatch(/^redis {6}[1-9]\d* records of the stream, .* keys of features/m);
    expect(filesWith(dir, user)).toEqual([]);

    const never = await testServer({ dir: await spaceOf(dir, without(log, user)) });
    const erased = await testServer({ dir, settings, leaseTtlMs: LEASE_TTL_MS });
    const wanted = await seenBy(never, viewers);
    expect(await seenBy(erased, viewers)).toEqual(wanted);
    expect(wanted).not.toEqual(before);
  },
);
