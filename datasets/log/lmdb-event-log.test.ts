import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Event } from "../events.ts";
import { openLmdb } from "../storage/lmdb.ts";
import { eventLogContract } from "./event-log.contract.ts";
import { DEDUPLICATION_WINDOW_MS } from "./event-log.ts";
import { openLmdbEventLog } from "./lmdb-event-log.ts";

let base: string;
beforeAll(async () => {
  base = await mkdtemp(path.join(tmpdir(), "roost-log-"));
});
afterAll(() => rm(base, { recursive: true, force: true }));
const fresh = (): Promise<string> => mkdtemp(path.join(base, "log-"));

eventLogContract("lmdb", async (options) => openLmdbEventLog(await fresh(), options));

const follow = (time_ms: number, event_id?: string): Event => ({
  type: "follow",
  time_ms,
  user_id: "1",
  target_id: "2",
  ...(event_id === undefined ? {} : { event_id }),
});

test("records, ids, seqs and the trimmed beginning survive closing and opening", async () => {
  const dir = await fresh();
  const first = openLmdbEventLog(dir);
  await first.append([follow(1, "a"), follow(2, "b")], 0);
  await first.trim(2);
  await first.append([follow(3, "c")], 0);
  await first.close();
  const second = openLmdbEventLog(dir);
  expect([second.firstSeq(), second.lastSeq()]).toEqual([3, 3]);
  expect(await second.append([follow(1, "a"), follow(4)], 9)).toEqual([
    { seq: 1, duplicate: true },
    { seq: 4, duplicate: false },
  ]);
  await second.close();
});

test("the ids of a steady stream are forgotten after the window, so the store stays bounded", async () => {
  const dir = await fresh();
  const log = openLmdbEventLog(dir);
  const hour = 3_600_000;
  for (let h = 0; h < 150; h++)
    await log.append(
      Array.from({ length: 10 }, (_, i) => follow(h, `${h}-${i}`)),
      h * hour,
    );
  await log.close();
  const root = openLmdb(dir, { readOnly: true });
  const kept = root.openDB({ name: "event_ids", encoding: "json" }).getCount();
  const hoursKept = DEDUPLICATION_WINDOW_MS / hour + 1;
  expect(kept).toBe(hoursKept * 10);
  expect(root.openDB({ name: "expiry", encoding: "string" }).getCount()).toBe(kept);
  await root.close();
});

test("a second process reads what the owner appends, waits for more, and may not write", async () => {
  const dir = await fresh();
  const owner = openLmdbEventLog(dir);
  await owner.append([follow(1)], 0);
  const script = `
    import { openLmdbEventLog } from ${JSON.stringify(new URL("./lmdb-event-log.ts", import.meta.url).href)};
    const log = openLmdbEventLog(${JSON.stringify(dir)}, { readOnly: true });
    console.log("has " + (await log.read({ fromSeq: 1, limit: 9 })).length);
    await Promise.all([log.waitFor(2), new Promise((r) => setTimeout(r, 1))]);
    console.log("has " + (await log.read({ fromSeq: 1, limit: 9 })).length);
    console.log(await log.append([], 0).catch((error) => error.code));
    await log.close();
    process.exit(0);`;
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script]);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe("has 1");
  await owner.append([follow(2)], 0);
  expect((await lines.next()).value).toBe("has 2");
  expect((await lines.next()).value).toBe("BAD_STORE");
  await owner.close();
});

test("every acknowledged event is there after SIGKILL in the middle of concurrent appends", async () => {
  const dir = await fresh();
  const script = `
    import { openLmdbEventLog } from ${JSON.stringify(new URL("./lmdb-event-log.ts", import.meta.url).href)};
    const log = openLmdbEventLog(${JSON.stringify(dir)});
    for (let i = 0; ; i++) {
      const event_id = "event-" + i;
      log.append([{ type: "follow", time_ms: i, user_id: "1", target_id: "2", event_id }], 0)
        .then(([result]) => process.stdout.write(event_id + " " + result.seq + "\\n"));
      if (i % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
    }`;
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script]);
  const acknowledged = new Map<string, number>();
  for await (const line of createInterface({ input: child.stdout })) {
    const [id, seq] = line.split(" ") as [string, string];
    acknowledged.set(id, Number(seq));
    if (acknowledged.size === 1500) child.kill("SIGKILL");
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  expect(child.signalCode).toBe("SIGKILL");
  expect(acknowledged.size).toBeGreaterThanOrEqual(1500);

  const log = openLmdbEventLog(dir);
  const events = await log.read({ fromSeq: 1, limit: Number.POSITIVE_INFINITY });
  expect(events.map((e) => e.seq)).toEqual(events.map((_, i) => i + 1));
  const bySeq = new Map(events.map((e) => [e.seq, e.event_id]));
  for (const [id, seq] of acknowledged) expect(bySeq.get(seq)).toBe(id);
  expect(log.lastSeq()).toBe(events.length);
  await log.close();
});

test("a log whose unrolled events lie behind the segments is refused", async () => {
  const dir = await fresh();
  const log = openLmdbEventLog(dir);
  await log.append([follow(1)], 0);
  await log.close();
  expect(() => openLmdbEventLog(dir, { startAfterSeq: 10 })).toThrow(/segments end at 10/);
});

test("a directory that cannot be opened is a BAD_STORE, not a crash", () => {
  expect(() => openLmdbEventLog("/dev/null/log")).toThrow(/a store cannot be used/);
  expect(() => openLmdbEventLog(path.join(base, "none"), { readOnly: true })).toThrow(
    /a store cannot be used/,
  );
});
