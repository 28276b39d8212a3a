import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readManifest } from "../datasets/dataset.ts";
import { previewRanking } from "./rank-service.ts";
import { servedItems } from "./served-record.ts";
import { freshSpace, type TestServer, testServer } from "./space.fixture.ts";

const MONTH_MS = 30 * 86_400_000;
const storedMs = async (dir: string): Promise<number> =>
  JSON.parse(await readFile(join(dir, "clock.json"), "utf8")).world_ms;

async function timelines(server: TestServer): Promise<unknown> {
  const { graph } = server.parts;
  const viewers = [...graph.users()].filter((user) => graph.following(user).size >= 10);
  const pages: unknown[] = [];
  for (const user_id of viewers.slice(0, 5)) {
    const request = { user_id, product: "for_you", limit: 30 } as const;
    const { table, page } = await previewRanking(server.parts, request, server.startedMs);
    pages.push(servedItems(table, page));
  }
  return pages;
}

test("a new world begins at the first millisecond of the held-out day, whatever the machine's time", async () => {
  const server = await testServer({ atMs: 17 * MONTH_MS });
  expect(server.startedMs).toBe(readManifest(server.dir).held_out_from_ms);
  server.advance(1500);
  expect(server.clock.nowMs()).toBe(server.startedMs + 1500);
});

test("a start a month later without new events gives the same timelines to the last digit", async () => {
  const first = await testServer();
  const before = await timelines(first);
  first.advance(60_000);
  await first.close();
  const later = await testServer({ dir: first.dir, atMs: MONTH_MS });
  expect(later.startedMs).toBe(first.startedMs);
  later.advance(7);
  expect(await timelines(later)).toEqual(before);
});

test("events take the world's time and move where the next start begins", async () => {
  const first = await testServer();
  const [user_id, target_id] = [...first.parts.graph.users()] as [string, string];
  first.advance(3_600_000);
  await first.send([{ type: "follow", user_id, target_id, time_ms: 12 }]);
  const at = first.startMs + 3_600_000;
  expect((await first.recordsOf("follow")).at(-1)?.time_ms).toBe(at);
  expect(await storedMs(first.dir)).toBe(at);
  first.advance(60_000);
  await first.close();
  const second = await testServer({ dir: first.dir, atMs: MONTH_MS });
  expect(second.startedMs).toBe(at);
});

test("a server that is killed before its clock was written starts at its last event", async () => {
  const first = await testServer();
  const users = [...first.parts.graph.users()];
  for (let i = 0; i < 5; i++) {
    first.advance(100);
    await first.send([{ type: "follow", user_id: users[i], target_id: users[i + 1] }]);
  }
  const at = first.startMs + 500;
  // What a crash leaves behind: the log is on disk, the clock has been written once.
  const crashed = await freshSpace();
  await first.close();
  for (const name of ["log", "state"])
    await cp(join(first.dir, name), join(crashed, name), { recursive: true });
  await writeFile(join(crashed, "clock.json"), JSON.stringify({ world_ms: first.startMs + 100 }));
  const second = await testServer({ dir: crashed, atMs: MONTH_MS });
  expect(second.startedMs).toBe(at);
  const before = await timelines(second);
  await second.close();
  const third = await testServer({ dir: crashed, atMs: 2 * MONTH_MS });
  expect(third.startedMs).toBe(at);
  expect(await timelines(third)).toEqual(before);
});

test("on the wall clock events keep their own time, and one from the future is refused", async () => {
  const server = await testServer({ settings: { clock: "wall" }, atMs: 5_000 });
  expect(server.clock.nowMs()).toBe(server.startMs + 5_000);
  const [user_id, target_id] = [...server.parts.graph.users()] as [string, string];
  const follow = { type: "follow", user_id, target_id };
  await server.send([{ ...follow, time_ms: server.startMs + 1_000 }, follow]);
  const times = (await server.recordsOf("follow")).slice(-2).map(({ time_ms }) => time_ms);
  expect(times).toEqual([server.startMs + 1_000, server.startMs + 5_000]);
  const early = await server.post("/v1/events", [{ ...follow, time_ms: server.startMs + 500_000 }]);
  expect(early).toMatchObject({ status: 400, body: { errors: [{ pointer: "/0/time_ms" }] } });
  await expect(storedMs(server.dir)).rejects.toThrow(/ENOENT/);
});
