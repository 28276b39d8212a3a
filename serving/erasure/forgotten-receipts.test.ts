import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
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
  kept.take(deletion(7));
  kept.begin(() => new Promise((resolve) => (settle = () => resolve(undefined))));
  await new Promise(setImmediate);
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
  expect(readdirSync(join(dir, "erasures"))).toEqual(["forgotten-7.json"]);
  await kept.close();
});

test("a deletion that is applied again gives no second receipt, and the next one its own", async () => {
  positions = { features: 9 };
  const first = receipts();
  first.begin(settled);
  first.take(deletion(7));
  await first.close();
  const before = readFileSync(path(7), "utf8");
  const second = receipts();
  second.begin(settled);
  positions = { features: 10 };
  second.take(deletion(7));
  second.take(deletion(8));
  await second.close();
  expect(readFileSync(path(7), "utf8")).toBe(before);
  expect(JSON.parse(readFileSync(path(8), "utf8"))).toMatchObject({ parts: { features: 10 } });
});

test("a server that ends before a part is so far leaves it to the next", async () => {
  const ended = receipts();
  ended.take(deletion(7));
  await ended.close();
  expect(existsSync(path(7))).toBe(false);
  positions = { features: 7, timelines: 7 };
  const next = receipts();
  next.begin(settled);
  next.take(deletion(7));
  await next.close();
  expect(existsSync(path(7))).toBe(true);
});

test("what cannot be written is told, and the next one is written all the same", async () => {
  positions = { features: 9 };
  const kept = receipts();
  let fails = true;
  kept.begin(() => {
    if (!fails) return Promise.resolve();
    fails = false;
    return Promise.reject(new Error("no"));
  });
  kept.take(deletion(7));
  kept.take(deletion(8));
  await kept.close();
  expect(problems).toEqual([new Error("no")]);
  expect(existsSync(path(8))).toBe(true);
});
