import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { heldOutDir, readManifest, segmentsDir } from "../../datasets/dataset.ts";
import type { LoggedEvent } from "../../datasets/events.ts";
import { ERASED_AUTHOR } from "../../datasets/log/erased-event.ts";
import { openLmdbEventLog } from "../../datasets/log/lmdb-event-log.ts";
import { readLog } from "../../datasets/log/reader.ts";
import { SegmentRoller } from "../../datasets/log/roller.ts";
import { readSegments } from "../../datasets/log/segments.ts";
import { type ErasureReceipt, receiptHash } from "../erasure/erase-users.ts";
import { filesWith } from "../erasure/traces.fixture.ts";
import { freshSpace, roost, type TestServer, testServer } from "../space.fixture.ts";

const DEMO = fileURLToPath(new URL("../experiments/demo.yaml", import.meta.url));

let dir: string;
let user: string;
let other: string;
let before: LoggedEvent[];
let heldOutBefore: LoggedEvent[];
let impressionsBefore: number;
let receipt: ErasureReceipt;
let foundBefore: string[];

async function logged(): Promise<LoggedEvent[]> {
  const log = openLmdbEventLog(join(dir, "log"), { readOnly: true });
  const events: LoggedEvent[] = [];
  try {
    for await (const batch of readLog({ segments: segmentsDir(dir), log }, { order: "seq" }))
      events.push(...batch);
  } finally {
    await log.close();
  }
  return events;
}

async function heldOut(): Promise<LoggedEvent[]> {
  const events: LoggedEvent[] = [];
  for await (const batch of readSegments(heldOutDir(dir), { order: "seq" })) events.push(...batch);
  return events;
}

/** Whether any field of a record, at any depth, is this id. Texts of posts are not looked into. */
const mentions = (event: LoggedEvent, id: string): boolean =>
  JSON.stringify(event).includes(`"${id}"`);

/** A space in which a user posts, is shown, is seen and is in a sticky experiment; a part of it is rolled, a part is not. */
async function livedIn(): Promise<void> {
  dir = await freshSpace();
  const experimentsFile = join(dir, "experiments.yaml");
  const text = await readFile(DEMO, "utf8");
  await writeFile(
    experimentsFile,
    text.replace("hashAttribute: user_id", "hashAttribute: user_id\n    sticky: true"),
  );
  const open = () => testServer({ dir, settings: { experimentsFile }, candidateLogShare: 1 });
  const first = await open();
  const { graph } = first.parts;
  [user, other] = [...graph.users()].filter((each) => graph.following(each).size >= 20) as [
    string,
    string,
  ];
  const act = async (server: TestServer, round: number): Promise<void> => {
    server.advance(1_000);
    const post_id = String(900_000_000_000_000_000n + BigInt(round));
    const post = { type: "post_created", author_id: user, text: "mine", event_id: `p${round}` };
    await server.send([
      { ...post, post_id },
      { type: "follow", user_id: other, target_id: user },
    ]);
    await server.rank({ user_id: user });
    const page = await server.rank({ user_id: other, candidate_post_ids: [post_id] });
    expect(page.items.map(({ author_id }) => author_id)).toEqual([user]);
    const seen = { user_id: other, post_id, request_id: page.request_id };
    await server.send([
      { type: "impression", position: 0, ...seen },
      { type: "engagement", head: "favorite", ...seen },
      { type: "muted_keywords_set", user_id: user, keywords: ["rain"] },
    ]);
  };
  await act(first, 1);
  await first.close();
  const log = openLmdbEventLog(join(dir, "log"));
  await new SegmentRoller({ log, dir: segmentsDir(dir) }).roll(0, { all: true });
  await log.close();
  const again = await open();
  await act(again, 2);
  await again.close();
}

beforeAll(async () => {
  await livedIn();
  before = await logged();
  heldOutBefore = await heldOut();
  impressionsBefore = readManifest(dir).impressions;
  // As a server with towers saves them: the ids of posts, those of the user among them.
  for (const name of ["vectors", "vectors.refused"]) {
    mkdirSync(join(dir, name));
    writeFileSync(join(dir, name, "ids"), `${user} 1\n`);
  }
  // As a build to come makes its feature state ready, and as it was killed at that.
  for (const name of ["features.materializing", "features.materializing.partial"])
    writeFileSync(join(dir, name), user);
  foundBefore = filesWith(dir, user);
  const ended = await roost(["erase", "--user", user, "--data-dir", dir, "--json"]);
  expect(ended.code, ended.stderr).toBe(0);
  receipt = JSON.parse(ended.stdout) as ErasureReceipt;
});

test("no byte of the data directory tells the id any more, where many did before", () => {
  expect(foundBefore).toEqual(
    expect.arrayContaining([
      "log/data.mdb",
      "state/data.mdb",
      "sticky/data.mdb",
      "vectors.refused/ids",
      "vectors/ids",
    ]),
  );
  expect(filesWith(dir, user)).toEqual([]);
  // The search does find an id that stayed.
  expect(filesWith(dir, other)).toEqual(
    expect.arrayContaining(["log/data.mdb", "sticky/data.mdb"]),
  );
});

test("no record mentions the user, every other record is what and where it was", async () => {
  const after = await logged();
  expect(after.map(({ seq }) => seq)).toEqual(before.map(({ seq }) => seq));
  expect(after.map(({ time_ms }) => time_ms)).toEqual(before.map(({ time_ms }) => time_ms));
  expect(after.filter((event) => mentions(event, user))).toEqual([]);
  const unconcerned = before.flatMap((event, i) => (mentions(event, user) ? [] : [i]));
  expect(unconcerned.length).toBeGreaterThan(1_000);
  expect(unconcerned.map((i) => after[i])).toEqual(unconcerned.map((i) => before[i]));
  for (const [i, event] of before.entries()) {
    if (!("user_id" in event) || event.user_id !== user) continue;
    expect(after[i]).toEqual({ type: "erased", seq: event.seq, time_ms: event.time_ms });
  }
  const served = after.filter(({ type }) => type === "served");
  expect(served.some((event) => mentions(event, ERASED_AUTHOR))).toBe(true);

  const heldOutAfter = await heldOut();
  expect(heldOutAfter.map(({ seq }) => seq)).toEqual(heldOutBefore.map(({ seq }) => seq));
  expect(heldOutAfter.filter((event) => mentions(event, user))).toEqual([]);
});

test("the receipt counts what is gone, and proves whose it was only to who knows the id", () => {
  const kept = readdirSync(join(dir, "erasures"));
  expect(kept).toHaveLength(1);
  const text = readFileSync(join(dir, "erasures", kept[0] as string), "utf8");
  expect(JSON.parse(text)).toEqual(receipt);
  expect(receipt).toMatchObject({
    format: 3,
    user_sha256: receiptHash(user, receipt.salt),
    erased_together: 1,
  });
  expect(receipt.redis).toBeUndefined();
  expect(text).not.toContain(user);
  const count = (type: string, test: (event: LoggedEvent) => boolean): number =>
    [...before, ...heldOutBefore].filter((event) => event.type === type && test(event)).length;
  const own = (event: LoggedEvent): boolean => "user_id" in event && event.user_id === user;
  for (const type of ["impression", "engagement", "served", "exposure"])
    expect(receipt.records_removed[type] ?? 0, type).toBe(count(type, own));
  expect(receipt.records_removed.served).toBeGreaterThanOrEqual(2);
  expect(receipt.records_redacted.impression).toBeGreaterThanOrEqual(2);
  expect(receipt.segments_rewritten.length).toBeGreaterThanOrEqual(2);
  expect(receipt.sticky_documents_removed).toBe(1);
});

test("the data set still reads, with a checksum of its own and fewer impressions", () => {
  const removed = impressionsBefore - readManifest(dir).impressions;
  const own = [...before, ...heldOutBefore].filter(
    (event) => event.type === "impression" && event.user_id === user,
  );
  expect(removed).toBeGreaterThan(0);
  expect(removed).toBeLessThanOrEqual(own.length);
});

test("the next server knows nobody of that id and ranks for the others", async () => {
  const server = await testServer({ dir });
  expect([...server.parts.graph.users()]).not.toContain(user);
  expect(server.parts.graph.following(other).has(user)).toBe(false);
  expect([...server.parts.posts.values()].some(({ authorId }) => authorId === user)).toBe(false);
  const page = await server.rank({ user_id: other });
  expect(page.items).toHaveLength(20);
  expect(page.degraded).toEqual([]);
  await server.send([
    { type: "follow", user_id: other, target_id: [...server.parts.graph.users()][0] },
  ]);
  expect((await server.records()).at(-1)?.seq).toBeGreaterThan(before.at(-1)?.seq as number);
});

test("everybody whose deletion the log tells is erased at once, with a receipt each; who came back is not", async () => {
  const server = await testServer({ dir });
  const users = [...server.parts.graph.users()].filter((id) => id !== other).slice(0, 3);
  const [first, second, back] = users as [string, string, string];
  const deleted = (user_id: string) => ({ type: "user_deleted", user_id });
  await server.send([deleted(first), deleted(back)]);
  server.advance(1_000);
  await server.send([{ type: "user_created", user_id: back }, deleted(second)]);
  const imprintsOf = async (id: string) =>
    (await server.records()).filter((event) => event.type === "impression" && event.user_id === id)
      .length;
  const seen = [await imprintsOf(first), await imprintsOf(second)];
  await server.close();
  const earlier = readdirSync(join(dir, "erasures"));
  const ended = await roost(["erase", "--deleted", "--data-dir", dir, "--json"]);
  expect(ended.code, ended.stderr).toBe(0);
  const receipts = JSON.parse(ended.stdout) as ErasureReceipt[];
  const of = (id: string) =>
    receipts.find(({ user_sha256, salt }) => user_sha256 === receiptHash(id, salt));
  expect(receipts).toHaveLength(2);
  for (const [i, id] of [first, second].entries()) {
    const own = of(id);
    expect(own?.records_removed.user_deleted).toBe(1);
    expect(own?.records_removed.impression ?? 0).toBeGreaterThanOrEqual(seen[i] as number);
    expect(own?.erased_together).toBe(2);
    expect(filesWith(dir, id)).toEqual([]);
  }
  expect(readdirSync(join(dir, "erasures"))).toHaveLength(earlier.length + 2);
  expect(filesWith(dir, back)).toContain("log/data.mdb");
  const again = await roost(["erase", "--deleted", "--data-dir", dir]);
  expect(again.code, again.stderr).toBe(0);
  expect(again.stdout).toBe("the log tells of no deleted user\n");
});

test("an id that is none and a directory that is none are refused in one line", async () => {
  for (const args of [
    ["--user", "me", "--data-dir", dir],
    ["--user", "1", "--data-dir", join(dir, "nowhere")],
    ["--data-dir", dir],
    ["--user", "1", "--deleted", "--data-dir", dir],
  ]) {
    const ended = await roost(["erase", ...args]);
    expect(ended.code).toBe(1);
    expect(ended.stderr.trim().split("\n")).toHaveLength(1);
  }
});
