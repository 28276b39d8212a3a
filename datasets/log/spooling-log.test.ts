import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { RoostError } from "../../errors.ts";
import type { Event, LoggedEvent } from "../events.ts";
import { connectTest, REDIS_MISSING, startRedis } from "../storage/redis-server.fixture.ts";
import { eventLogContract } from "./event-log.contract.ts";
import type { EventLog } from "./event-log.ts";
import { openLmdbEventLog } from "./lmdb-event-log.ts";
import { memoryEventLog } from "./memory-event-log.ts";
import { openRedisEventLog } from "./redis-event-log.ts";
import { OWN_ID, SpoolingLog, type SpoolingLogOptions } from "./spooling-log.ts";

let base: string;
beforeAll(async () => {
  base = await mkdtemp(path.join(tmpdir(), "roost-spool-"));
});
afterAll(() => rm(base, { recursive: true, force: true }));
const fresh = (): Promise<string> => mkdtemp(path.join(base, "spool-"));

async function spooling(log: EventLog, options?: SpoolingLogOptions, dir?: string) {
  const spooled = new SpoolingLog(log, openLmdbEventLog(dir ?? (await fresh())), options);
  spooled.begin(() => 0);
  return spooled;
}

/** Reads events as they were given: without the ids that they got. */
async function asGiven(log: SpoolingLog): Promise<EventLog> {
  const read = log.read.bind(log);
  log.read = async (range) =>
    (await read(range)).map(({ event_id, ...event }) =>
      event_id === undefined || event_id.startsWith(OWN_ID) ? event : { ...event, event_id },
    ) as LoggedEvent[];
  return log;
}

eventLogContract("spooling", async (options) => asGiven(await spooling(memoryEventLog(options))));

const follow = (event_id?: string): Event => ({
  type: "follow",
  time_ms: 1,
  user_id: "1",
  target_id: "2",
  ...(event_id !== undefined && { event_id }),
});

/** A log that can be away: before it takes events, or after, so that its answer is lost. */
function faulty() {
  const log = memoryEventLog();
  const fault = { now: undefined as "before" | "after" | "refuses" | undefined };
  const append = log.append.bind(log);
  log.append = async (events, nowMs) => {
    const failing = fault.now;
    if (failing === "refuses") throw new RoostError("LOG_FULL", "no room");
    if (failing === "before") throw new RoostError("REDIS_UNAVAILABLE", "gone");
    const results = await append(events, nowMs);
    if (failing === "after") throw new RoostError("REDIS_UNAVAILABLE", "no answer");
    return results;
  };
  return { log, fault };
}

const idsOf = async (log: EventLog): Promise<(string | undefined)[]> =>
  (await log.read({ fromSeq: 1, limit: 10_000 })).map(({ event_id }) => event_id);

test.each(["before", "after"] as const)(
  "events that come while the log is away (%s taking them) are acknowledged and go on in their order, once",
  async (kind) => {
    const { log, fault } = faulty();
    const spooled = await spooling(log);
    await spooled.append([follow("a")], 0);
    fault.now = kind;
    for (const id of ["b", "c", "d"])
      expect(await spooled.append([follow(id)], 0)).toMatchObject([{ duplicate: false }]);
    expect(spooled.spooled).toBe(3);
    fault.now = undefined;
    // Those that come before all have gone on wait behind them.
    await spooled.append([follow("e")], 0);
    await spooled.waitFor(5);
    await expect.poll(() => spooled.spooled).toBe(0);
    await spooled.append([follow("f"), follow("b")], 0);
    expect(await idsOf(spooled)).toEqual(["a", "b", "c", "d", "e", "f"]);
    await spooled.close();
  },
);

test("events without an id count once too, though the answer to them was lost", async () => {
  const { log, fault } = faulty();
  const spooled = await spooling(log);
  fault.now = "after";
  await spooled.append([follow(), follow()], 0);
  fault.now = undefined;
  await expect.poll(() => spooled.spooled).toBe(0);
  expect(spooled.lastSeq()).toBe(2);
  await spooled.close();
});

test("what is aside when the process ends goes on with the next, also when it was appended and not yet taken out", async () => {
  const { log, fault } = faulty();
  const dir = await fresh();
  fault.now = "after";
  const first = await spooling({ ...log, close: async () => {} }, {}, dir);
  for (let i = 0; i < 30; i++) await first.append([follow(`${i}`)], 0);
  await first.close();
  fault.now = undefined;
  const second = await spooling(log, {}, dir);
  await second.append([follow("new")], 0);
  await expect.poll(() => second.spooled).toBe(0);
  expect(await idsOf(second)).toEqual([...Array.from({ length: 30 }, (_, i) => `${i}`), "new"]);
  await second.close();
});

test("where nothing may be kept aside any more, what is goes on first and new events are refused until then", async () => {
  const { log, fault } = faulty();
  const dir = await fresh();
  fault.now = "before";
  const first = await spooling({ ...log, close: async () => {} }, {}, dir);
  await first.append([follow("a"), follow("b")], 0);
  await first.close();
  const second = await spooling(log, { takes: false }, dir);
  await expect(second.append([follow("c")], 0)).rejects.toMatchObject({
    code: "REDIS_UNAVAILABLE",
    message: expect.stringContaining("2 events that came before go on first"),
  });
  fault.now = undefined;
  await expect.poll(() => second.spooled).toBe(0);
  await second.append([follow("c"), follow()], 0);
  expect(await idsOf(second)).toEqual(["a", "b", "c", undefined]);
  fault.now = "before";
  await expect(second.append([follow("d")], 0)).rejects.toMatchObject({
    code: "REDIS_UNAVAILABLE",
  });
  expect(second.spooled).toBe(0);
  await second.close();
});

test("a full spool refuses, what it holds stays; another refusal of the log is not spooled", async () => {
  const { log, fault } = faulty();
  const errors: unknown[] = [];
  const spooled = await spooling(log, { mostSpooled: 2, onError: (error) => errors.push(error) });
  fault.now = "refuses";
  await expect(spooled.append([follow("x")], 0)).rejects.toMatchObject({ code: "LOG_FULL" });
  expect(spooled.spooled).toBe(0);
  fault.now = "before";
  await spooled.append([follow("a"), follow("b")], 0);
  await expect(spooled.append([follow("c")], 0)).rejects.toMatchObject({
    code: "LOG_FULL",
    message: expect.stringContaining("2 of at most 2 events wait aside"),
  });
  fault.now = "refuses";
  await expect.poll(() => errors.length).toBeGreaterThan(0);
  fault.now = undefined;
  await expect.poll(() => spooled.spooled, { timeout: 5_000 }).toBe(0);
  expect(await idsOf(spooled)).toEqual(["a", "b"]);
  await spooled.close();
});

test.skipIf(REDIS_MISSING)(
  "while Redis is killed and comes back, every acknowledged event is in the log once, each writer's in order (needs redis-server)",
  async () => {
    const server = await startRedis({ durable: true });
    const connection = await connectTest(server.url);
    const log = await spooling(await openRedisEventLog(connection));
    const acknowledged: string[][] = [[], [], []];
    let stopped = false;
    const writers = acknowledged.map(async (own, w) => {
      for (let i = 0; !stopped; i++) {
        const ids = [`${w}-${i}-a`, `${w}-${i}-b`];
        await log.append(ids.map(follow), 0);
        own.push(...ids);
      }
    });
    const more = async (n: number): Promise<void> => {
      const enough = acknowledged.map((own) => own.length + n);
      await expect
        .poll(() => acknowledged.every((own, w) => own.length >= (enough[w] as number)), {
          timeout: 20_000,
        })
        .toBe(true);
    };
    await more(50);
    await server.kill();
    await more(200);
    expect(log.spooled).toBeGreaterThan(0);
    await server.restart();
    // Also while more keeps coming.
    await expect.poll(() => log.spooled, { timeout: 20_000 }).toBe(0);
    await more(50);
    expect(log.spooled).toBe(0);
    stopped = true;
    await Promise.all(writers);
    const ids = (await idsOfAll(log)) as string[];
    expect(new Set(ids).size).toBe(ids.length);
    acknowledged.forEach((own, w) => {
      expect(ids.filter((id) => id.startsWith(`${w}-`))).toEqual(own);
    });
    await log.close();
    await connection.close();
    await server.stop();
  },
  60_000,
);

async function idsOfAll(log: EventLog): Promise<(string | undefined)[]> {
  const events = await log.read({ fromSeq: 1, limit: log.lastSeq() });
  return events.map(({ event_id }) => event_id);
}
