import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Event } from "../../datasets/events.ts";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import {
  connectTest,
  REDIS_MISSING,
  type RedisServer,
  startRedis,
} from "../../datasets/storage/redis-server.fixture.ts";
import {
  HOUR,
  impression,
  NOON,
  post,
  postDeleted,
  relation,
  userDeleted,
} from "../events.fixture.ts";
import { bruteTimeline } from "./brute-timeline.fixture.ts";
import { FAN_OUT, type FanOutOptions } from "./fan-out.ts";
import { MemoryTimelines } from "./memory-timelines.ts";
import { RedisTimelines } from "./redis-timelines.ts";
import { TimelineSpace } from "./timeline-space.fixture.ts";
import type { TimelineStore } from "./timeline-store.ts";

const USERS = ["1", "2", "3", "4"];
const POSTS = 40;
const DAY = 24 * HOUR;

/** A post's facts follow from its number, so that every record of it says the same. */
function numbered(i: number): Event {
  const author = (n: number): string => USERS[(n * 7 + (n >> 2)) % USERS.length] as string;
  // Some moments are shared by several posts, and some lie 40 hours back.
  const time_ms = NOON - ((i * 13) % 10) * 1000 - (i % 5 === 0 ? 40 * HOUR : 0);
  const parent = (i * 5 + 3) % POSTS;
  const grandparent = (parent * 5 + 3) % POSTS;
  const of = { post: `${100 + parent}`, author: author(parent) };
  const form = i % 4;
  return post(`${100 + i}`, author(i), {
    time_ms,
    ...(form === 1 ? { repost_of_post_id: of.post, repost_of_author_id: of.author } : {}),
    ...(form === 2
      ? {
          in_reply_to_post_id: of.post,
          in_reply_to_author_id: of.author,
          conversation_id: `${100 + (parent % 4 === 2 ? grandparent : parent)}`,
        }
      : {}),
    ...(i % 8 === 3 ? { quote_of_post_id: of.post, quote_of_author_id: of.author } : {}),
  });
}

const user = fc.constantFrom(...USERS);
const number = fc.nat({ max: POSTS - 1 });
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 8, arbitrary: number.map(numbered) },
  { weight: 5, arbitrary: fc.tuple(user, user).map(([a, b]) => relation("follow", a, b)) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.constantFrom("unfollow", "block", "unblock", "mute", "unmute"), user, user)
      .map(([type, a, b]) => relation(type, a, b)),
  },
  { weight: 2, arbitrary: number.map((i) => postDeleted(`${100 + i}`)) },
  {
    weight: 3,
    // Lately, or some days ago; a last visit of a month ago ends in the next sweep.
    arbitrary: fc
      .tuple(user, fc.constantFrom(0, 10, 40))
      .map(([a, days]) => impression(a, "100", NOON - days * DAY)),
  },
  { weight: 1, arbitrary: user.map((a) => userDeleted(a, NOON - 30 * HOUR)) },
);
const step = fc.oneof(
  { weight: 12, arbitrary: fc.record({ events: fc.array(event, { minLength: 1, maxLength: 6 }) }) },
  { weight: 6, arbitrary: fc.record({ read: user, limit: fc.integer({ min: 1, max: 9 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ readDuring: user, events: fc.array(event, { maxLength: 4 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ run: fc.constantFrom("tick", "hold", "release", "settle") }),
  },
  { weight: 1, arbitrary: fc.record({ failures: fc.constantFrom(1, 2) }) },
  { weight: 1, arbitrary: fc.record({ crash: fc.constant(true) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

async function run(
  steps: readonly Step[],
  store: TimelineStore,
  followerThreshold: number,
  options: FanOutOptions,
): Promise<void> {
  const space = new TimelineSpace({ followerThreshold }, options, store);
  for (const one of steps) {
    if ("readDuring" in one) {
      const before = bruteTimeline(space.log, one.readDuring);
      const read = space.read(one.readDuring, { limit: 100 });
      space.plan(...one.events);
      const found = await read;
      const after = bruteTimeline(space.log, one.readDuring);
      for (const id of found) expect([...before, ...after]).toContain(id);
      for (const id of before) if (after.includes(id)) expect(found).toContain(id);
    } else if ("events" in one) space.plan(...one.events);
    else if ("read" in one)
      expect(await space.readAll(one.read, one.limit)).toEqual(bruteTimeline(space.log, one.read));
    else if ("failures" in one) space.failures = one.failures;
    else if ("crash" in one) await space.crash();
    else if (one.run === "tick") await space.tick();
    else if (one.run === "hold") space.hold();
    else {
      space.release();
      if (one.run === "settle") await space.fanOut.settled();
    }
  }
  space.release();
  await space.fanOut.settled();
  expect(space.fanOut.waiting).toBe(0);
  expect(space.fanOut.position.seq).toBe(space.log.length);
  for (const userId of USERS) {
    const truth = bruteTimeline(space.log, userId);
    // Twice, because the first reading may make the timeline that the second one reads.
    for (const limit of [3, 100]) expect(await space.readAll(userId, limit)).toEqual(truth);
    await space.fanOut.settled();
    for (const id of await space.stored(userId)) expect(space.posts.isDeleted(id)).toBe(false);
  }
}

const options = fc.record({
  name: fc.constant("0"),
  mostWaiting: fc.constant(FAN_OUT.mostWaiting),
  mostDeferred: fc.constantFrom(2, FAN_OUT.mostDeferred),
  retryMs: fc.constant(1),
});

test("whatever happens in whatever order, with a store that is slow or fails and a process that dies, what is read is the timeline by all events", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 80, size: "max" }),
      fc.integer({ min: 1, max: 5 }),
      options,
      (steps, threshold, given) => run(steps, new MemoryTimelines(), threshold, given),
    ),
    { numRuns: 1500, interruptAfterTimeLimit: 100_000, markInterruptAsFailure: true },
  );
});

let server: RedisServer | undefined;
let redis: RedisConnection | undefined;
beforeAll(async () => {
  if (REDIS_MISSING) return;
  server = await startRedis();
  redis = await connectTest(server.url);
});
afterAll(async () => {
  await redis?.close();
  await server?.stop();
});

test.skipIf(REDIS_MISSING)("so it is with timelines in Redis (needs redis-server)", async () => {
  const connection = redis as RedisConnection;
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 80, size: "max" }),
      fc.integer({ min: 1, max: 5 }),
      options,
      async (steps, threshold, given) => {
        await connection.client.flushall();
        await run(
          steps,
          new RedisTimelines(connection, { readTimeoutMs: 10_000 }),
          threshold,
          given,
        );
      },
    ),
    { numRuns: 150, interruptAfterTimeLimit: 100_000, markInterruptAsFailure: true },
  );
});
