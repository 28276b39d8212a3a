import fc from "fast-check";
import { expect, test } from "vitest";
import { anyEvent } from "../events.arbitrary.ts";
import type { Event } from "../events.ts";
import { DEDUPLICATION_WINDOW_MS, type EventLog } from "./event-log.ts";
import { memoryEventLog } from "./memory-event-log.ts";

const follow = (time_ms: number, event_id?: string): Event => ({
  type: "follow",
  time_ms,
  user_id: "1",
  target_id: "2",
  ...(event_id === undefined ? {} : { event_id }),
});

/** What every event log keeps to. `open` makes an empty one each time. */
export function eventLogContract(
  name: string,
  open: (options: { startAfterSeq?: number }) => Promise<EventLog>,
): void {
  const withLog = async (use: (log: EventLog) => Promise<void>, options = {}): Promise<void> => {
    const log = await open(options);
    try {
      await use(log);
    } finally {
      await log.close();
    }
  };

  test(`${name}: an empty log ends at 0 and reads nothing`, () =>
    withLog(async (log) => {
      expect([log.firstSeq(), log.lastSeq()]).toEqual([1, 0]);
      expect(await log.read({ fromSeq: 1, limit: 10 })).toEqual([]);
    }));

  test(`${name}: events get consecutive seqs in the order given and come back as they were`, () =>
    withLog(async (log) => {
      const events = fc.sample(anyEvent(), { numRuns: 300, seed: 3 }).map((event, i) => ({
        ...event,
        event_id: `e${i}`,
      }));
      const results = await log.append(events, 1000);
      expect(results).toEqual(events.map((_, i) => ({ seq: i + 1, duplicate: false })));
      const back = await log.read({ fromSeq: 1, limit: 1000 });
      expect(back).toEqual(events.map((event, i) => ({ ...event, seq: i + 1 })));
      expect((await log.read({ fromSeq: 11, limit: 2 })).map((e) => e.seq)).toEqual([11, 12]);
      expect(await log.read({ fromSeq: 301, limit: 5 })).toEqual([]);
    }));

  test(`${name}: an event id is applied once within 48 hours, then again`, () =>
    withLog(async (log) => {
      expect(await log.append([follow(1, "a"), follow(2, "a")], 0)).toEqual([
        { seq: 1, duplicate: false },
        { seq: 1, duplicate: true },
      ]);
      const at = (nowMs: number) => log.append([follow(3, "a")], nowMs);
      expect(await at(DEDUPLICATION_WINDOW_MS)).toEqual([{ seq: 1, duplicate: true }]);
      expect(await at(DEDUPLICATION_WINDOW_MS + 1)).toEqual([{ seq: 2, duplicate: false }]);
      expect(await at(2 * DEDUPLICATION_WINDOW_MS + 1)).toEqual([{ seq: 2, duplicate: true }]);
      expect(log.lastSeq()).toBe(2);
    }));

  test(`${name}: ids that differ only in what UTF-8 cannot hold are different ids`, () =>
    withLog(async (log) => {
      const ids = ["\ud800", "\ud801", "\ufffd", "\0", "\0\0", '"', ""].filter((id) => id !== "");
      const results = await log.append(
        ids.map((id) => follow(1, id)),
        0,
      );
      expect(results.every((r) => !r.duplicate)).toBe(true);
    }));

  test(`${name}: events without an id are never duplicates`, () =>
    withLog(async (log) => {
      await log.append([follow(1), follow(1)], 0);
      expect(log.lastSeq()).toBe(2);
    }));

  test(`${name}: concurrent appends neither lose, double nor interleave a batch`, () =>
    withLog(async (log) => {
      const appended = await Promise.all(
        Array.from({ length: 200 }, (_, i) =>
          log.append([follow(i, `a${i % 150}`), follow(i, `b${i}`), follow(i)], 5),
        ),
      );
      const fresh = appended.flat().filter((r) => !r.duplicate);
      expect(fresh.length).toBe(150 + 200 + 200);
      expect(new Set(fresh.map((r) => r.seq)).size).toBe(550);
      for (const [, b, c] of appended) expect(c?.seq).toBe((b?.seq ?? 0) + 1);
      const back = await log.read({ fromSeq: 1, limit: 1000 });
      expect(back.map((e) => e.seq)).toEqual(Array.from({ length: 550 }, (_, i) => i + 1));
    }));

  test(`${name}: trimming moves the beginning, refuses older reads and keeps ids and seqs`, () =>
    withLog(async (log) => {
      await log.append([follow(1, "a"), follow(2, "b"), follow(3, "c")], 0);
      await log.trim(2);
      expect([log.firstSeq(), log.lastSeq()]).toEqual([3, 3]);
      await expect(log.read({ fromSeq: 2, limit: 1 })).rejects.toMatchObject({
        code: "LOG_TRIMMED",
      });
      expect((await log.read({ fromSeq: 3, limit: 9 })).map((e) => e.time_ms)).toEqual([3]);
      await log.trim(3);
      expect([log.firstSeq(), log.lastSeq()]).toEqual([4, 3]);
      expect(await log.append([follow(1, "a"), follow(9)], 0)).toEqual([
        { seq: 1, duplicate: true },
        { seq: 4, duplicate: false },
      ]);
    }));

  test(`${name}: a log that continues segments begins after them`, () =>
    withLog(
      async (log) => {
        expect([log.firstSeq(), log.lastSeq()]).toEqual([501, 500]);
        expect(await log.append([follow(1)], 0)).toEqual([{ seq: 501, duplicate: false }]);
      },
      { startAfterSeq: 500 },
    ));

  test(`${name}: waiting resolves on the record, at once when it is there, and obeys abort and close`, () =>
    withLog(async (log) => {
      const order: string[] = [];
      const waiting = log.waitFor(2).then(() => order.push("second"));
      await log.append([follow(1)], 0);
      await log.waitFor(1);
      order.push("first");
      await log.append([follow(2)], 0);
      await waiting;
      expect(order).toEqual(["first", "second"]);

      const abort = new AbortController();
      const aborted = log.waitFor(99, abort.signal);
      abort.abort(new Error("enough"));
      await expect(aborted).rejects.toThrow("enough");
      await expect(log.waitFor(99, abort.signal)).rejects.toThrow("enough");

      const closed = log.waitFor(99);
      closed.catch(() => {});
      await log.close();
      await expect(closed).rejects.toMatchObject({ code: "NOT_READY" });
    }));

  test(`${name}: does what the in-memory log does, for any series of calls`, async () => {
    const id = fc.option(fc.constantFrom("a", "b", "c", "d", "e"), { nil: undefined });
    const call = fc.oneof(
      { weight: 5, arbitrary: fc.record({ append: fc.array(id, { maxLength: 5 }) }) },
      { weight: 1, arbitrary: fc.record({ trim: fc.double({ min: 0, max: 1, noNaN: true }) }) },
      { weight: 2, arbitrary: fc.record({ pass: fc.integer({ min: 0, max: 60 * 3_600_000 }) }) },
      { weight: 2, arbitrary: fc.record({ read: fc.integer({ min: 0, max: 40 }) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(call, { minLength: 5, maxLength: 40 }), async (calls) => {
        const oracle = memoryEventLog();
        await withLog(async (log) => {
          let now = 0;
          for (const step of calls) {
            const outcome = (on: EventLog): Promise<unknown> => {
              if ("append" in step)
                return on.append(
                  step.append.map((e) => follow(now, e)),
                  now,
                );
              if ("trim" in step) return on.trim(Math.floor(step.trim * oracle.lastSeq()));
              if ("read" in step)
                return on.read({ fromSeq: step.read, limit: 7 }).catch((error) => error.message);
              return Promise.resolve();
            };
            if ("pass" in step) now += step.pass;
            const expected = await outcome(oracle);
            expect(await outcome(log)).toEqual(expected);
            expect([log.firstSeq(), log.lastSeq()]).toEqual([oracle.firstSeq(), oracle.lastSeq()]);
          }
        });
      }),
      { numRuns: 25, seed: 19 },
    );
  });
}
