import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { Redis } from "ioredis";
import { buildTimeline } from "../../candidates/timelines/build-timeline.ts";
import { postMember } from "../../candidates/timelines/post-member.ts";
import {
  MOST_ENTRIES,
  SERVED_ENTRIES,
  type TimelineEntry,
} from "../../candidates/timelines/timeline-store.ts";
import type { EventOf } from "../../datasets/events.ts";
import { snowflake } from "../../datasets/ids.ts";
import { random } from "../../datasets/random.ts";
import { startRedis } from "../../datasets/storage/own-redis.ts";
import { connectRedis, parseRedisUrl, type RedisConnection } from "../../datasets/storage/redis.ts";
import { figure, quantile, writeReport } from "./bench-report.ts";
import { author, FanOutSpace, MINUTE_MS, START_MS, user } from "./fanout-space.ts";

/*
 * Fan-out into timelines on a redis-server of its own (no persistence: timelines can be built again). Every figure is of the whole
 * path: planning, queue, client, server, acknowledgement. Users stand in the graph with one visit a minute ago.
 */
const SEED = 1;
/** Commands in a pipeline, of the floor and of fan-out: what a normal round has. */
const DEPTH = 512;
const ROUNDS = 40;
const READERS = 1_000;
const FOLLOWERS = 50;
const POSTS_A_ROUND = 200;
const CROWD = 9_999;
const CROWD_POSTS = 100;
const POSTS_PER_S = 500;
const STEP_MS = 4;
const CELEBRITIES = [10_000, 100_000, 1_000_000];
const CELEBRITY_POSTS = 2_000;
const REBUILDS = 40;

const USAGE = "usage: roost bench fanout [--seconds N (20)] [--json]";

const { values: flags } = parseArgs({
  options: {
    help: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    seconds: { type: "string", default: "20" },
  },
});

async function main(): Promise<void> {
  if (flags.help) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  const server = await startRedis();
  const redis = await connectRedis(parseRedisUrl(server.url));
  try {
    const inserts = await insertRates(redis);
    const crowd = await deliverToCrowd(redis);
    const visible = await visibility(redis);
    const celebrities: number[] = [];
    for (const n of CELEBRITIES) celebrities.push(await celebrityPostUs(redis, n));
    const reading = await readCosts(redis);
    const ratio = quantile(
      inserts.rounds.map(({ raw, ours }) => ours / raw),
      0.5,
    );
    const rate = quantile(
      inserts.rounds.map(({ ours }) => ours),
      0.5,
    );
    const pushUs = 1e6 / rate;
    const figures = [
      { ...figure("zadd_ratio", ratio, "×"), asked: "≥ 0.7", ok: ratio >= 0.7 },
      figure("timeline_inserts_per_s", rate, "/s"),
      figure(
        "raw_zadds_per_s",
        quantile(
          inserts.rounds.map(({ raw }) => raw),
          0.5,
        ),
        "/s",
      ),
      figure("deliver_9999_p50_ms", quantile(crowd, 0.5), "ms"),
      figure("deliver_9999_p99_ms", quantile(crowd, 0.99), "ms"),
      ...visible,
      figure("celebrity_post_us", celebrities.at(-1) as number, "µs"),
      ...CELEBRITIES.map((n, i) =>
        figure(`celebrity_post_us_${n}`, celebrities[i] as number, "µs"),
      ),
      figure("bytes_per_timeline", inserts.bytes, "B"),
      ...reading.figures,
      figure("push_us", pushUs, "µs a timeline"),
      figure("merge_us", reading.mergeUs, "µs a pulled author and page"),
      figure("break_even_posts_per_page", reading.mergeUs / pushUs, "posts"),
      figure("followers_in_100_ms", 100_000 / pushUs, "followers"),
    ];
    writeReport("fanout", { seed: SEED, rounds: inserts.rounds, figures }, flags.json, NOTE);
  } finally {
    await redis.close();
    await server.stop();
  }
}

const NOTE = `
Of an author's active follower pushing costs push_us a post, merging merge_us a page that this follower reads: both grow with the number
of followers, so it cancels out. Pushing is the cheaper way for an author who writes fewer than break_even_posts_per_page posts in
the time in which a follower reads a page. What the number of followers decides is how long one post holds up all others:
followers_in_100_ms are served in that time.
`;

/** Timeline inserts against raw pipelined ZADDs of the same members to as many sorted sets of the same length, by turns. */
async function insertRates(redis: RedisConnection) {
  const space = new FanOutSpace(redis, "fan");
  const authors = READERS / 5;
  for (let a = 0; a < authors; a++)
    for (let f = 0; f < FOLLOWERS; f++) space.follow(user((a * 5 + f * 17) % READERS), author(a));
  const entries: TimelineEntry[] = Array.from({ length: SERVED_ENTRIES }, (_, i) => ({
    postId: snowflake(START_MS - 1_000_000 + i, i),
    timeMs: START_MS - 1_000_000 + i,
  }));
  for (let u = 0; u < READERS; u++) {
    // Of all lengths between cuts, so that every round has its part of them.
    const more = Array.from({ length: (u * 37) % (MOST_ENTRIES - SERVED_ENTRIES) }, (_, i) => ({
      postId: snowflake(START_MS - 500_000 + i, i),
      timeMs: START_MS - 500_000 + i,
    }));
    await space.store.rebuild(user(u), {
      entries: [...entries, ...more],
      floorMs: -1,
      builtAtMs: START_MS,
    });
    await redis.client.zadd(
      `raw:{${user(u)}}`,
      ...entries.flatMap(({ postId, timeMs }) => [timeMs, postMember(postId)]),
    );
  }
  const bytes = await space.store.bytes(user(0));
  const rounds: { raw: number; ours: number }[] = [];
  for (let round = -2; round < ROUNDS; round++) {
    const events = Array.from({ length: POSTS_A_ROUND }, (_, i) => space.post(author(i % authors)));
    const commands = events.flatMap((event) => {
      const { post_id, author_id, time_ms } = event as EventOf<"post_created">;
      const member = postMember(post_id);
      return Array.from(space.graph.followers(author_id), (userId) => [
        ...["zadd", `raw:{${userId}}`, String(time_ms), member],
      ]);
    });
    const raw = async (): Promise<number> => {
      const startedAt = performance.now();
      for (let at = 0; at < commands.length; at += DEPTH)
        await (redis.client as Redis).pipeline(commands.slice(at, at + DEPTH)).exec();
      return (1000 * commands.length) / (performance.now() - startedAt);
    };
    const ours = async (): Promise<number> => {
      const startedAt = performance.now();
      for (const event of events) space.plan(event);
      await space.fanOut.settled();
      return (1000 * commands.length) / (performance.now() - startedAt);
    };
    const measured = { raw: 0, ours: 0 };
    for (const kind of round % 2 === 0 ? (["raw", "ours"] as const) : (["ours", "raw"] as const))
      measured[kind] = await { raw, ours }[kind]();
    await delay(5);
    if (round >= 0) rounds.push(measured);
  }
  await redis.client.flushall("ASYNC");
  return { rounds, bytes };
}

/** From a post by an author with 9,999 active followers until the last push is acknowledged. */
async function deliverToCrowd(redis: RedisConnection): Promise<number[]> {
  const space = new FanOutSpace(redis, "crowd");
  for (let i = 0; i < CROWD; i++) space.follow(user(i), author(0));
  const times: number[] = [];
  for (let i = -5; i < CROWD_POSTS; i++) {
    const event = space.post(author(0));
    const startedAt = performance.now();
    space.plan(event);
    await space.fanOut.settled();
    if (i >= 0) times.push(performance.now() - startedAt);
    await delay(5);
  }
  await redis.client.flushall("ASYNC");
  return times;
}

/** A steady stream of posts: from the moment a post is due until a follower's timeline has it. */
async function visibility(redis: RedisConnection) {
  const dueAt = new Map<string, number>();
  const lags: number[] = [];
  const space = new FanOutSpace(redis, "steady", ({ entry, userIds }) => {
    const lag = performance.now() - (dueAt.get(entry.postId) as number);
    for (let i = 0; i < userIds.length; i++) lags.push(lag);
  });
  const sizes = followerCounts(2_000, FOLLOWERS);
  const draw = random(SEED, "steady");
  sizes.forEach((size, a) => {
    const from = draw.below(20_000);
    for (let f = 0; f < size; f++) space.follow(user((from + f) % 20_000), author(a));
  });
  const looks = setInterval(() => space.fanOut.look(), 100);
  const warmUp = 2 * POSTS_PER_S;
  const total = warmUp + Number(flags.seconds) * POSTS_PER_S;
  const startedAt = performance.now();
  for (let i = 0; i < total; ) {
    for (; i < total && startedAt + (1000 * i) / POSTS_PER_S <= performance.now(); i++) {
      if (i === warmUp) lags.length = 0;
      const event = space.post(author(draw.below(sizes.length)));
      dueAt.set((event as EventOf<"post_created">).post_id, startedAt + (1000 * i) / POSTS_PER_S);
      space.plan(event);
    }
    await delay(STEP_MS);
  }
  await space.fanOut.settled();
  clearInterval(looks);
  const perS = (1000 * (total - warmUp)) / (performance.now() - startedAt - 2_000);
  await redis.client.flushall("ASYNC");
  return [
    figure("visible_p50_ms", quantile(lags, 0.5), "ms"),
    figure("visible_p99_ms", quantile(lags, 0.99), "ms"),
    figure("visible_longest_ms", quantile(lags, 1), "ms"),
    figure("visible_posts_per_s", perS, "posts/s"),
    figure("visible_followers_mean", sizes.reduce((sum, size) => sum + size) / sizes.length, ""),
    figure("visible_followers_most", Math.max(...sizes), ""),
    figure("visible_pushes_per_post", lags.length / (total - warmUp), ""),
  ];
}

/** Skewed numbers of followers, from 1 to 9,999, with this mean: a power of the rank, whose exponent is searched for. */
function followerCounts(n: number, mean: number): number[] {
  const counts = (exponent: number): number[] =>
    Array.from({ length: n }, (_, rank) =>
      Math.max(1, Math.round(CROWD * (rank + 1) ** -exponent)),
    );
  let low = 0.1;
  let high = 3;
  for (let i = 0; i < 50; i++) {
    const middle = (low + high) / 2;
    const found = counts(middle).reduce((sum, count) => sum + count) / n;
    if (found > mean) low = middle;
    else high = middle;
  }
  return counts(high);
}

/** Microseconds that one post by an author with so many followers takes, all states included. */
async function celebrityPostUs(redis: RedisConnection, followers: number): Promise<number> {
  const space = new FanOutSpace(redis, `celebrity${followers}`);
  for (let i = 0; i < followers; i++) space.follow(user(i), author(0));
  const times: number[] = [];
  for (let i = -200; i < CELEBRITY_POSTS; i++) {
    const event = space.post(author(0));
    const startedAt = performance.now();
    space.plan(event);
    if (i >= 0) times.push(1000 * (performance.now() - startedAt));
  }
  await space.fanOut.settled();
  return quantile(times, 0.5);
}

/** A page of 50 of a reader with 1,000 followees, with and without authors that are merged, and a timeline built anew. */
async function readCosts(redis: RedisConnection) {
  const page = { limit: 50, nowMs: START_MS + 60 * MINUTE_MS };
  const pulledAuthors = 200;
  const pages = { stored: [] as number[], merged: [] as number[], all_merged: [] as number[] };
  const built: number[] = [];
  const rebuilt: number[] = [];
  const spaces = [];
  for (const kind of ["stored", "merged", "all_merged"] as const) {
    const space = new FanOutSpace(redis, kind);
    for (let a = 0; a < 1_000; a++) space.follow(user(0), author(a));
    const pulled = { stored: 0, merged: pulledAuthors, all_merged: 1_000 }[kind];
    space.pull(Array.from({ length: pulled }, (_, a) => author(a)));
    for (let i = 0; i < 20_000; i++) space.plan(space.post(author(i % 1_000)));
    space.fanOut.rebuild(user(0), page.nowMs);
    await space.fanOut.settled();
    spaces.push([kind, space] as const);
  }
  for (let i = -50; i < 400; i++)
    for (const [kind, space] of spaces) {
      const startedAt = performance.now();
      const found = await space.reader.read(user(0), page);
      if (i >= 0) pages[kind].push(performance.now() - startedAt);
      if (found.rebuilt || found.posts.length !== page.limit) throw new Error("no page was read");
    }
  const [[, space]] = spaces as [(typeof spaces)[0]];
  for (let i = -5; i < REBUILDS; i++) {
    await space.store.forget([user(0)]);
    const startedAt = performance.now();
    buildTimeline(user(0), space, page.nowMs);
    const builtAt = performance.now();
    await space.reader.read(user(0), page);
    await space.fanOut.settled();
    if (i < 0) continue;
    built.push(builtAt - startedAt);
    rebuilt.push(performance.now() - builtAt);
  }
  const rebuildP99 = quantile(rebuilt, 0.99);
  const stored = quantile(pages.stored, 0.5);
  const merged = quantile(pages.merged, 0.5);
  return {
    mergeUs: Math.max(0, (1000 * (merged - stored)) / pulledAuthors),
    figures: [
      figure("page_p50_ms", stored, "ms"),
      figure("page_p99_ms", quantile(pages.stored, 0.99), "ms"),
      figure(`page_${pulledAuthors}_pulled_p50_ms`, merged, "ms"),
      figure("page_1000_pulled_p50_ms", quantile(pages.all_merged, 0.5), "ms"),
      figure("build_1000_followees_p50_ms", quantile(built, 0.5), "ms"),
      {
        ...figure("rebuild_1000_followees_p99_ms", rebuildP99, "ms"),
        asked: "≤ 500",
        ok: rebuildP99 <= 500,
      },
    ],
  };
}

await main();
