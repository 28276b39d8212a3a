import { spawn } from "node:child_process";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { openDataDir } from "../datasets/storage/data-dir.ts";
import { openLmdb } from "../datasets/storage/lmdb.ts";
import { ENTITIES } from "../features/entities.ts";
import {
  freshSpace,
  NODE_ARGS,
  plainEnv,
  ROOST,
  type TestServer,
  testServer,
} from "./space.fixture.ts";
import { BroadcastState } from "./state/live-state.ts";
import { openState, rebuildState } from "./state/open-state.ts";

/** Everything that a data directory's state knows: part and key → value as text. */
type State = Map<string, string>;

async function stateOf(dir: string): Promise<State> {
  const owned = openDataDir(dir, "own");
  const { live, log, close } = await openState(owned);
  const { broadcast, features } = live;
  const state: State = new Map([
    ["log", String(log.lastSeq())],
    ["position of the features", String(features.position)],
    ["position of the broadcast state", String(broadcast.position)],
  ]);
  const { graph, history, posts, popular } = broadcast;
  // Retention is applied now and then; applied to the end it leaves the same.
  const { newestMs } = posts.snapshot() as { newestMs: number };
  for (let turn = 0; turn < 5; turn++) broadcast.trim(newestMs);
  for (const [part, snapshot] of Object.entries({
    graph: graph.snapshot(),
    history: history.snapshot(),
    posts: posts.snapshot(),
    popular: popular.snapshot(),
  }))
    for (const [name, value] of Object.entries(snapshot as object))
      for (const [key, text] of entriesOf(value)) state.set(`${part} ${name} ${key}`, text);
  await close();
  const root = openLmdb(join(dir, "state"));
  for (const entity of ENTITIES) {
    const db = root.openDB<Buffer, string>({ name: `features/${entity}`, encoding: "binary" });
    for (const { key, value } of db.getRange())
      state.set(`${entity} ${key}`, value.toString("hex"));
  }
  await root.close();
  owned.close();
  return state;
}

function* entriesOf(value: unknown): Iterable<[string, string]> {
  if (Array.isArray(value)) for (const post of value) yield [post.postId, JSON.stringify(post)];
  else if (value instanceof Set) for (const key of value) yield [key, ""];
  else if (!(value instanceof Map)) yield ["", JSON.stringify(value)];
  else
    for (const [key, inner] of value) {
      const plain =
        inner instanceof Set ? [...inner].sort() : inner instanceof Map ? [...inner] : inner;
      // Somebody without edges is the same with an empty list and with none.
      if (!(Array.isArray(plain) && plain.length === 0) && plain !== 0)
        yield [key, JSON.stringify(plain)];
    }
}

/** Where two states differ; empty when they are equal. */
function differences(left: State, right: State): string[] {
  const keys = new Set([...left.keys(), ...right.keys()]);
  return [...keys]
    .filter((key) => left.get(key) !== right.get(key))
    .map((key) => `${key}: ${left.get(key)?.slice(0, 200)} / ${right.get(key)?.slice(0, 200)}`);
}

async function rebuilt(dir: string): Promise<State> {
  await rm(join(dir, "state"), { recursive: true });
  await rm(join(dir, "broadcast.snapshot"));
  const owned = openDataDir(dir, "own");
  await rebuildState(owned, () => {});
  owned.close();
  return stateOf(dir);
}

/** Pages, impressions, favorites, follows and posts of the held-out day. */
async function traffic(server: TestServer, pages: number): Promise<void> {
  const users = [...server.parts.graph.users()];
  for (let i = 0; i < pages; i++) {
    server.advance(60_000);
    const user_id = users[(7 * i) % users.length] as string;
    const { items, request_id } = await server.rank({ user_id, limit: 10 });
    const target_id = users[(11 * i + 3) % users.length] as string;
    await server.send([
      ...items.map(({ post_id }, position) => ({
        type: "impression",
        user_id,
        post_id,
        request_id,
        position,
      })),
      ...items.slice(0, 2).map(({ post_id }) => ({
        type: "engagement",
        head: "favorite",
        user_id,
        post_id,
        request_id,
      })),
      { type: "follow", user_id, target_id },
      { type: "post_created", post_id: `9000${i}`, author_id: user_id, text: "tea and chess" },
    ]);
    await server.settled();
  }
}

test("a clean restart finds the state that it left, and that state is what a rebuild from the log gives", async () => {
  const server = await testServer();
  await traffic(server, 8);
  await server.close();
  const left = await stateOf(server.dir);
  expect(left.size).toBeGreaterThan(10_000);
  expect(left.get("position of the features")).toBe(left.get("log"));
  expect(left.get("position of the broadcast state")).toBe(left.get("log"));
  const again = await testServer({ dir: server.dir });
  await again.close();
  expect(again.lines.some(({ msg }) => String(msg).includes("built anew"))).toBe(false);
  expect(differences(await stateOf(server.dir), left)).toEqual([]);
  expect(differences(await rebuilt(server.dir), left)).toEqual([]);
});

test("a page that was answered just before the end is logged as served", async () => {
  const server = await testServer();
  const [user_id] = [...server.parts.graph.users()] as [string];
  const first = await server.rank({ user_id });
  // A slow disk.
  const write = server.parts.write;
  vi.spyOn(server.parts, "write").mockImplementation(async (events) => {
    await delay(300);
    return write(events);
  });
  const second = await server.rank({ user_id, cursor: first.cursor as string });
  await server.close();
  const again = await testServer({ dir: server.dir });
  const served = await again.recordsOf("served");
  expect(served.map(({ request_id }) => request_id)).toEqual([first.request_id, second.request_id]);
});

test("a server that was killed under load has every acknowledged event, and the state of a clean rebuild", async () => {
  const dir = await freshSpace();
  const child = spawn(
    process.execPath,
    [...NODE_ARGS, ROOST, "serve", "--data-dir", dir, "--port", "0", "--clock", "world"],
    { env: plainEnv({ ROOST_LOG_LEVEL: "warn" }), stdio: ["ignore", "pipe", "inherit"] },
  );
  const ended = new Promise((resolve) => child.on("exit", (_, signal) => resolve(signal)));
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.on("data", (text) => resolve(String(text).trim()));
    child.on("exit", () => reject(new Error("the server ended")));
  });
  const acknowledged: string[] = [];
  const send = async (client: number): Promise<void> => {
    for (let i = 0; ; i++) {
      const batch = Array.from({ length: 20 }, (_, j) => ({
        type: "engagement",
        event_id: `${client}-${i}-${j}`,
        user_id: String(1 + j),
        post_id: String(100 + client),
        head: "favorite",
      }));
      const answer = await fetch(`${url}/v1/events`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(batch),
      });
      if (answer.status === 200) acknowledged.push(...batch.map(({ event_id }) => event_id));
      if (acknowledged.length > 1500) child.kill("SIGKILL");
    }
  };
  await Promise.allSettled([1, 2, 3].map(send));
  expect(await ended).toBe("SIGKILL");

  const server = await testServer({ dir });
  const logged = new Set((await server.records()).map(({ event_id }) => event_id));
  expect(acknowledged.length).toBeGreaterThan(1500);
  expect(acknowledged.filter((id) => !logged.has(id))).toEqual([]);
  await server.close();
  const left = await stateOf(dir);
  expect(differences(await rebuilt(dir), left)).toEqual([]);
}, 120_000);

test.each([
  ["the snapshot is missing", (dir: string) => rm(join(dir, "broadcast.snapshot"))],
  [
    "the snapshot is damaged",
    async (dir: string) => {
      const path = join(dir, "broadcast.snapshot");
      const bytes = await readFile(path);
      bytes.writeUInt8(bytes.readUInt8(5000) ^ 1, 5000);
      await writeFile(path, bytes);
    },
  ],
  ["the features are missing", (dir: string) => rm(join(dir, "state"), { recursive: true })],
  [
    "the features are no LMDB file",
    (dir: string) => writeFile(join(dir, "state", "data.mdb"), Buffer.alloc(65_536, 7)),
  ],
  [
    "the features have another layout",
    async (dir: string) => {
      const root = openLmdb(join(dir, "state"));
      await root.openDB({ name: "features/meta" }).put("layout", "another");
      await root.close();
    },
  ],
  [
    "the features and the snapshot reflect records that the log does not have",
    async (dir: string) => {
      const root = openLmdb(join(dir, "state"));
      await root.openDB({ name: "features/meta" }).put("position", 10_000_000);
      await root.close();
      const ahead = new BroadcastState();
      ahead.position = 10_000_000;
      await ahead.save(join(dir, "broadcast.snapshot"));
    },
  ],
])("a start when %s builds it again from segments and log", async (_what, damage) => {
  const server = await testServer();
  await traffic(server, 4);
  await server.close();
  await damage(server.dir);
  const again = await testServer({ dir: server.dir });
  again.advance(1000);
  const user_id = [...again.parts.graph.users()][3] as string;
  expect((await again.rank({ user_id })).degraded).toEqual([]);
  await again.settled();
  await again.close();
  const healed = await stateOf(server.dir);
  expect(healed.size).toBeGreaterThan(10_000);
  expect(differences(await rebuilt(server.dir), healed)).toEqual([]);
});

test("a log that cannot be opened stops the start with a remedy, and the directory is left to others", async () => {
  const dir = await freshSpace();
  await writeFile(join(dir, "log", "data.mdb"), Buffer.alloc(65_536, 7));
  await expect(testServer({ dir })).rejects.toMatchObject({ code: "BAD_STORE" });
  expect(await readdir(dir)).not.toContain("lock");
});

test("a second server on the same data directory is refused while the first one serves on", async () => {
  const server = await testServer();
  await expect(testServer({ dir: server.dir })).rejects.toMatchObject({ code: "DATA_DIR_LOCKED" });
  const user_id = [...server.parts.graph.users()][0] as string;
  expect((await server.rank({ user_id })).items).toHaveLength(20);
});
