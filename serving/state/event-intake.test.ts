import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Event, EventSchema } from "../../datasets/events.ts";
import type { EventLog } from "../../datasets/log/event-log.ts";
import { memoryEventLog } from "../../datasets/log/memory-event-log.ts";
import type { ServerClock } from "../http/services.ts";
import { WorldClock, wallClock } from "./clock.ts";
import { EventIntake } from "./event-intake.ts";
import { liveIn } from "./live-state.fixture.ts";
import { LogConsumer } from "./log-consumer.ts";

let dir: string;
const NOW_MS = 1_760_000_000_000;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "roost-intake-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

const event = (record: object): Event => EventSchema.parse({ time_ms: NOW_MS - 500, ...record });
const impression = {
  type: "impression",
  user_id: "1",
  post_id: "70",
  request_id: "r",
  position: 0,
};

async function intake(clock: ServerClock) {
  const log = memoryEventLog();
  const live = liveIn(mkdtempSync(join(dir, "live-")));
  const consumer = new LogConsumer(live, { segments: dir, log });
  await consumer.start(() => {});
  const { posts, graph } = live.broadcast;
  const sink = new EventIntake({ log, consumer, posts, graph, clock });
  await sink.append([
    event({ type: "post_created", post_id: "70", author_id: "7" }),
    event({ type: "post_created", post_id: "80", author_id: "8" }),
    event({ type: "follow", user_id: "1", target_id: "7" }),
  ]);
  return {
    log,
    live,
    sink,
    logged: (fromSeq: number) => log.read({ fromSeq, limit: 100 }),
  };
}
const wall = wallClock(() => NOW_MS);

test("impressions and engagements are logged with the author and whether the viewer follows them", async () => {
  const { sink, logged } = await intake(wall);
  await sink.append([
    event(impression),
    event({ ...impression, post_id: "80" }),
    event({ type: "engagement", user_id: "1", post_id: "80", head: "favorite" }),
  ]);
  expect(await logged(4)).toEqual([
    expect.objectContaining({ post_id: "70", author_id: "7", in_network: true }),
    expect.objectContaining({ post_id: "80", author_id: "8", in_network: false }),
    expect.objectContaining({ post_id: "80", author_id: "8", head: "favorite" }),
  ]);
});

test("what the sender says of author and network is kept; of unknown posts nothing is made up", async () => {
  const { sink, logged } = await intake(wall);
  await sink.append([
    event({ ...impression, author_id: "5", in_network: true }),
    event({ ...impression, post_id: "99" }),
  ]);
  const [said, unknown] = await logged(4);
  expect(said).toMatchObject({ author_id: "5", in_network: true });
  expect(unknown).not.toHaveProperty("author_id");
  expect(unknown).not.toHaveProperty("in_network");
});

test("an answer comes when its events show in the state; duplicates are told apart", async () => {
  const { sink, live } = await intake(wall);
  const mute = event({ type: "mute", user_id: "1", target_id: "7", event_id: "m" });
  const unmute = event({ type: "unmute", user_id: "1", target_id: "7" });
  expect(await sink.append([mute])).toEqual({ results: [{ status: "accepted" }] });
  expect(live.broadcast.graph.muted("1").has("7")).toBe(true);
  expect(await sink.append([mute, unmute])).toEqual({
    results: [{ status: "duplicate" }, { status: "accepted" }],
  });
  expect(live.broadcast.graph.muted("1").has("7")).toBe(false);
});

test("in world time events take the clock and move it on; the server's own records keep their time", async () => {
  let elapsed = 0;
  const clock = new WorldClock(join(dir, "clock.json"), NOW_MS + 10_000, () => elapsed);
  const { sink, logged } = await intake(clock);
  elapsed = 250;
  await sink.append([event(impression)]);
  elapsed = 400;
  await sink.write([event({ ...impression, time_ms: NOW_MS + 10_333 })]);
  const times = (await logged(1)).map(({ time_ms }) => time_ms - NOW_MS);
  expect(times).toEqual([10_000, 10_000, 10_000, 10_250, 10_333]);
  await clock.close();
  const restarted = new WorldClock(join(dir, "clock.json"), 0, () => 0);
  expect(restarted.nowMs()).toBe(NOW_MS + 10_400);
});

test("on the wall clock every event keeps its own time", async () => {
  const { sink, logged } = await intake(wall);
  await sink.append([event({ ...impression, time_ms: 123 })]);
  expect((await logged(4))[0]?.time_ms).toBe(123);
});

test("too many events that wait for the disk, or for the state, are refused before anything is written", async () => {
  const log = memoryEventLog();
  const live = liveIn(mkdtempSync(join(dir, "live-")));
  const consumer = new LogConsumer(live, { segments: dir, log });
  await consumer.start(() => {});
  let flush = (): void => {};
  const disk = new Promise<void>((resolve) => {
    flush = resolve;
  });
  const slow: EventLog = Object.create(log, {
    append: {
      value: async (...args: Parameters<EventLog["append"]>) => {
        await disk;
        return log.append(...args);
      },
    },
  });
  const { posts, graph } = live.broadcast;
  const parts = { log: slow, consumer, posts, graph, clock: wall };
  const sink = new EventIntake(parts, { waiting: 3, behind: 5 });
  const three = [event(impression), event(impression), event(impression)];
  const first = sink.append(three);
  await expect(sink.append([event(impression)])).rejects.toMatchObject({
    code: "OVERLOADED",
    retryAfterS: 1,
  });
  flush();
  expect((await first).results).toHaveLength(3);
  expect(log.lastSeq()).toBe(3);
  await sink.append([event(impression)]);

  await consumer.close();
  await log.append([...three, ...three], NOW_MS);
  await expect(sink.append([event(impression)])).rejects.toThrow(/6 records behind the log/);
  expect(log.lastSeq()).toBe(10);
});

test("what joins others aside is taken whatever fan-out can take; else it is refused", async () => {
  const { log, live } = await intake(wall);
  const consumer = new LogConsumer(live, { segments: dir, log });
  const { posts, graph } = live.broadcast;
  const parts = { log, consumer, posts, graph, clock: wall };
  let aside = 1;
  const sink = new EventIntake(parts, {
    load: { admitShare: 0, retryAfterS: 2, reason: "171 timelines wait at 31 written a second" },
    aside: () => aside,
  });
  expect(await sink.append([event(impression)])).toEqual({ results: [{ status: "accepted" }] });
  aside = 0;
  await expect(sink.append([event(impression)])).rejects.toMatchObject({
    code: "OVERLOADED",
    message: expect.stringContaining("171 timelines wait"),
  });
});

test("where unknown users are refused, an event of one is, by name, and a user created before it is known", async () => {
  const log = memoryEventLog();
  const live = liveIn(mkdtempSync(join(dir, "live-")));
  const consumer = new LogConsumer(live, { segments: dir, log });
  await consumer.start(() => {});
  const { posts, graph } = live.broadcast;
  const sink = new EventIntake(
    { log, consumer, posts, graph, clock: wall },
    { unknownUsers: "refuse" },
  );
  const created = (user_id: string) => event({ type: "user_created", user_id });
  const { results } = await sink.append([
    event({ type: "follow", user_id: "1", target_id: "2" }),
    created("1"),
    event({ type: "follow", user_id: "1", target_id: "2" }),
    created("2"),
    event({ type: "follow", user_id: "1", target_id: "2" }),
  ]);
  expect(results).toEqual([
    { status: "refused", detail: "user_id 1 is not known: send user_created first" },
    { status: "accepted" },
    { status: "refused", detail: "target_id 2 is not known: send user_created first" },
    { status: "accepted" },
    { status: "accepted" },
  ]);
  expect(log.lastSeq()).toBe(3);
  const after = await sink.append([event({ type: "mute", user_id: "2", target_id: "1" })]);
  expect(after.results).toEqual([{ status: "accepted" }]);
  await consumer.close();
});
