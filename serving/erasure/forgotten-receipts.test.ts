import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Deletion } from "../state/live-state.ts";
import { receiptHash } from "./erase-users.ts";
import { type ForgottenReceipt, ForgottenReceipts } from "./forgotten-receipts.ts";

const USER = "741897772692668518";
const deletion = (seq: number): Deletion => ({
  type: "user_deleted",
  user_id: USER,
  time_ms: 5_000,
  seq,
});

let dir: string;
let positions: Record<string, number>;
let problems: unknown[];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "roost-receipts-"));
  positions = { features: 0, timelines: 0 };
  problems = [];
});
afterEach(() => rmSync(dir, { recursive: true }));

const receipts = (): ForgottenReceipts =>
  new ForgottenReceipts(dir, {
    parts: () => ({ ...positions }),
    wallMs: () => 9_000,
    salt: () => "pepper",
    onError: (problem) => problems.push(problem),
  });
const path = (seq: number): string => join(dir, "erasures", `forgotten-${seq}.json`);
const settled = () => Promise.resolve();

test("a receipt waits until every part reflects the deletion, and proves whose it is only to who knows the id", async () => {
  const kept = receipts();
  let settle = (): void => {};
  const done = new Promise<void>((resolve) => {
    settle = resolve;
  });
  kept.begin(() => done);
  await kept.take(deletion(7));
  const pending = readFileSync(join(dir, "erasures", "forgotten-7.pending"), "utf8");
  expect(pending).not.toContain(USER);
  positions = { features: 8, timelines: 6 };
  settle();
  await new Promise((resolve) => setTimeout(resolve, 120));
  expect(existsSync(path(7))).toBe(false);
  positions = { features: 8, timelines: 7 };
  await expect.poll(() => existsSync(path(7))).toBe(true);
  const text = readFileSync(path(7), "utf8");
  expect(JSON.parse(text)).toEqual({
    format: 1,
    kind: "forgotten",
    user_sha256: receiptHash(USER, "pepper"),
    salt: "pepper",
    deleted_at: "1970-01-01T00:00:05.000Z",
    forgotten_at: "1970-01-01T00:00:09.000Z",
    log_position: 7,
    parts: { features: 8, timelines: 7 },
  } satisfies ForgottenReceipt);
  expect(text).not.toContain(USER);
  await kept.close();
  expect(readdirSync(join(dir, "erasures"))).toEqual(["forgotten-7.json"]);
});

test("a deletion that is applied again gives no second receipt, and the next one its own", async () => {
  positions = { features: 9 };
  const first = receipts();
  first.begin(settled);
  await first.take(deletion(7));
  await first.close();
  const before = readFileSync(path(7), "utf8");
  const second = receipts();
  second.begin(settled);
  positions = { features: 10 };
  await second.take(deletion(7));
  await second.take(deletion(8));
  await second.close();
  expect(readFileSync(path(7), "utf8")).toBe(before);
  expect(JSON.parse(readFileSync(path(8), "utf8"))).toMatchObject({ parts: { features: 10 } });
});

test("what a server did not state the next one does, though it is not told of the deletion again", async () => {
  // One whose start failed, one that ended while a part was behind.
  const failed = receipts();
  await failed.take(deletion(7));
  await failed.close();
  const ended = receipts();
  ended.begin(settled);
  await ended.take(deletion(8));
  await ended.close();
  expect(readdirSync(join(dir, "erasures")).sort()).toEqual([
    "forgotten-7.pending",
    "forgotten-8.pending",
  ]);
  positions = { features: 9, timelines: 9 };
  const next = receipts();
  next.begin(settled);
  await next.close();
  expect(readdirSync(join(dir, "erasures")).sort()).toEqual([
    "forgotten-7.json",
    "forgotten-8.json",
  ]);
  expect(problems).toEqual([]);
});

test("what cannot be written is told, keeps nobody, and is written when it can be", async () => {
  positions = { features: 9, timelines: 9 };
  const kept = receipts();
  kept.begin(settled);
  const inTheWay = `${path(8)}.partial`;
  mkdirSync(inTheWay, { recursive: true });
  await kept.take(deletion(8));
  await kept.take(deletion(9));
  await kept.close();
  expect(problems).toEqual([expect.objectContaining({ code: "EISDIR" })]);
  expect(existsSync(path(9))).toBe(true);
  rmSync(inTheWay, { recursive: true });
  const next = receipts();
  next.begin(settled);
  await next.close();
  expect(existsSync(path(8))).toBe(true);
});

test("a directory that cannot be made keeps no deletion from being applied", async () => {
  writeFileSync(join(dir, "erasures"), "");
  const kept = receipts();
  await kept.take(deletion(7));
  await kept.close();
  expect(problems).toHaveLength(1);
});
