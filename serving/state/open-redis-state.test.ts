import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Event, EventSchema } from "../../datasets/events.ts";
import { openDataDir } from "../../datasets/storage/data-dir.ts";
import {
  connectTest,
  REDIS_MISSING,
  startRedis,
} from "../../datasets/storage/redis-server.fixture.ts";
import { checkAfterCrash } from "../benches/crash-check.ts";
import { finallyDo } from "../space.fixture.ts";
import { LogConsumer } from "./log-consumer.ts";
import { openRedisState } from "./open-redis-state.ts";

const NOW_MS = 1_760_000_000_000;
/** Two follows, then posts of the followed that the follower likes one by one, so that they have a timeline. */
const EVENTS: readonly Event[] = [
  ...["2", "3"].map((target_id) => ({ type: "follow", user_id: "1", target_id })),
  ...["10", "11", "12", "13"].flatMap((post_id, i) => {
    const author_id = String(2 + (i % 2));
    return [
      { type: "post_created", post_id, author_id, text: "words" },
      { type: "engagement", user_id: "1", post_id, author_id, head: "favorite" },
    ];
  }),
].map((event, i) => EventSchema.parse({ ...event, event_id: `e${i}`, time_ms: NOW_MS + i }));
const KEPT = 6;

test.skipIf(REDIS_MISSING)(
  "where Redis lost records all that it keeps is built anew, tokens that went with them included (needs redis-server)",
  async () => {
    const redis = await startRedis({ durable: true });
    finallyDo(() => redis.stop());
    const connection = await connectTest(redis.url);
    finallyDo(() => connection.close());
    const dataDir = mkdtempSync(join(tmpdir(), "roost-lost-"));
    finallyDo(async () => rmSync(dataDir, { recursive: true, force: true }));

    await connection.client.hset("t:{p0}fence:features", "token", 5);
    const dir = openDataDir(dataDir, "own");
    const state = await openRedisState(dir, {
      connection,
      owner: "first",
      wallMs: () => NOW_MS,
      monotonicMs: () => 0,
      onNotice: () => {},
      onLost: () => {},
    });
    const consumer = new LogConsumer(state.live, { segments: dir.segments, log: state.log });
    await consumer.start(() => {});
    await state.log.append(EVENTS, NOW_MS);
    await consumer.applied(EVENTS.length);
    await state.fanOut?.settled();
    expect(await connection.client.zcard("t:t:{1}")).toBeGreaterThan(4);
    await consumer.close();
    await state.close();
    dir.close();

    // As a replica that lagged has it. Other masters keep what they have.
    await connection.client.set("t:{p0}seq", KEPT);
    for (let seq = KEPT + 1; seq <= EVENTS.length; seq++)
      await connection.client.xdel("t:{p0}log", `${seq}-0`);
    await connection.client.hset("t:{p0}fence:features", "token", 0);

    const kept = new Set(EVENTS.slice(0, KEPT).map(({ event_id }) => event_id as string));
    const found = await checkAfterCrash(dataDir, kept, `${redis.url}?prefix=t:`);
    expect(found).toMatchObject({ records: KEPT, lost: [], doubled: [], differing: [] });
  },
);
