import { setTimeout as delay } from "node:timers/promises";
import { Cluster } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RedisConnection } from "./redis.ts";
import { RedisGroups } from "./redis-groups.ts";
import { scanKeys } from "./redis-scan.ts";
import { RedisScript } from "./redis-script.ts";
import {
  connectTest,
  REDIS_MISSING,
  type RedisCluster,
  type RedisServer,
  redisCli,
  startRedis,
  startRedisCluster,
} from "./redis-server.fixture.ts";

const SET_AND_TELL = new RedisScript(`
local answers = {}
for i = 1, #KEYS do
  redis.call('SET', KEYS[i], ARGV[i] .. ARGV[#ARGV])
  answers[i] = KEYS[i] .. '=' .. ARGV[i]
end
return answers`);

/** Keys of which some share a tag and some stand alone. */
const keysOf = (prefix: string, n: number): string[] =>
  Array.from({ length: n }, (_, i) => (i % 3 === 0 ? `${prefix}${i}` : `${prefix}{${i % 20}}${i}`));

/** What every kind of server does. */
function promises(connection: () => RedisConnection, prefix: string): void {
  const groups = () => new RedisGroups(connection().client);

  test("answers come in the order of the keys, bytes as they are, null where nothing is", async () => {
    const keys = keysOf(`${prefix}a:`, 5_000);
    const bytes = keys.map((_, i) => Buffer.from([i & 255, 0, 255, i >> 8]));
    const set = await groups().run(
      keys.map((key, i) => ({ key, call: "set", args: [bytes[i] as Buffer] })),
    );
    expect(set.every((answer) => String(answer) === "OK")).toBe(true);
    const missing = `${prefix}none`;
    expect(await groups().getAll([missing, ...keys, missing])).toEqual([null, ...bytes, null]);
    expect(await groups().getAll([])).toEqual([]);
  });

  test("a script gets each key's argument, and is sent whole to a server that does not have it", async () => {
    const keys = keysOf(`${prefix}b:`, 600);
    const args = keys.map((_, i) => i);
    const run = () => groups().runScript(SET_AND_TELL, keys, args, "!");
    const told = (await run()) as Buffer[];
    expect(told.map(String)).toEqual(keys.map((key, i) => `${key}=${i}`));
    const { client } = connection();
    for (const node of client instanceof Cluster ? client.nodes("master") : [client])
      await node.script("FLUSH");
    expect(((await run()) as Buffer[]).map(String)).toEqual(told.map(String));
    expect((await groups().getAll(keys)).map(String)).toEqual(args.map((i) => `${i}!`));
  });

  test("a failure stands in its key's place only", async () => {
    const key = `${prefix}list`;
    await connection().client.rpush(key, "1");
    const answers = await groups().run([
      { key: `${prefix}c`, call: "set", args: ["1"] },
      { key, call: "get", args: [] },
      { key: `${prefix}c`, call: "get", args: [] },
    ]);
    expect(answers[1]).toMatchObject({ message: expect.stringMatching(/^WRONGTYPE/) });
    expect(String(answers[2])).toBe("1");
  });

  test("a scan finds every key of a prefix and none of another", async () => {
    const keys = keysOf(`${prefix}scan:`, 3_000);
    await groups().run(keys.map((key) => ({ key, call: "set", args: ["1"] })));
    expect([...(await scanKeys(connection().client, `${prefix}scan:`))].sort()).toEqual(
      [...keys].sort(),
    );
    expect((await scanKeys(connection().client, `${prefix}nothing`)).size).toBe(0);
  });
}

describe.skipIf(REDIS_MISSING)("groups on one server (needs redis-server)", () => {
  let server: RedisServer;
  let connection: RedisConnection;
  beforeAll(async () => {
    server = await startRedis();
    connection = await connectTest(server.url);
  });
  afterAll(async () => {
    await connection.close();
    await server.stop();
  });
  promises(() => connection, "one:");

  test("a server that is gone fails each key at once", async () => {
    const lost = await startRedis();
    const to = await connectTest(lost.url);
    await lost.stop();
    const answers = await new RedisGroups(to.client).getAll(["a", "b"]);
    expect(answers.every((answer) => answer instanceof Error)).toBe(true);
    await expect(scanKeys(to.client, "a")).rejects.toMatchObject({ code: "REDIS_UNAVAILABLE" });
    to.client.disconnect();
  });
});

test.skipIf(REDIS_MISSING)(
  "a write waits for a replica that is connected, and for one that must be there whether it is or not (needs redis-server)",
  async () => {
    const master = await startRedis({ args: ["--repl-diskless-sync-delay", "0"] });
    const replica = await startRedis({ args: ["--replicaof", "127.0.0.1", String(master.port)] });
    const connection = await connectTest(master.url);
    try {
      const set = [{ key: "a", call: "set", args: ["1"] }];
      const online = () => connection.client.wait(1, 1_000);
      await connection.client.set("before", "1");
      await expect.poll(online, { timeout: 20_000 }).toBe(1);
      const groups = new RedisGroups(connection.client, 1, 0);
      const demanding = new RedisGroups(connection.client, 1, 1);
      const refused = [expect.objectContaining({ message: expect.stringMatching(/^too few/) })];
      // The first one to hear of the replica waits as well.
      replica.pause();
      expect(await groups.run(set)).toEqual(refused);
      expect(await groups.run(set)).toEqual(refused);
      expect(await demanding.run(set)).toEqual(refused);
      expect(await groups.getAll(["a"])).toEqual([Buffer.from("1")]);
      await replica.stop();
      await expect
        .poll(() => redisCli(master.port, "info", "replication"), { timeout: 20_000 })
        .toMatch(/connected_slaves:0/);
      expect((await groups.run(set)).map(String)).toEqual(["OK"]);
      expect(await demanding.run(set)).toEqual(refused);
    } finally {
      await connection.close();
      await Promise.all([master.stop(), replica.stop()]);
    }
  },
);

describe.skipIf(REDIS_MISSING)("groups on three masters (needs redis-server)", () => {
  let cluster: RedisCluster;
  let connection: RedisConnection;
  beforeAll(async () => {
    cluster = await startRedisCluster();
    connection = await connectTest(cluster.url);
  });
  afterAll(async () => {
    await connection.close();
    await cluster.stop();
  });
  promises(() => connection, "many:");

  test("keys are found while their slot is on its way, and when it has moved", async () => {
    const [source, target] = cluster.servers as [RedisServer, RedisServer];
    const groups = new RedisGroups(connection.client);
    const tag = tagOn(source);
    const keys = Array.from({ length: 40 }, (_, i) => `{${tag}}${i}`);
    // Half are there; the others are made on the way.
    await groups.run(keys.slice(0, 20).map((key) => ({ key, call: "set", args: [key] })));
    const expected = keys.map((key, i) => (i < 20 ? Buffer.from(key) : null));
    const slot = redisCli(source.port, "cluster", "keyslot", keys[0] as string);
    const [from, to] = [source, target].map(({ port }) => redisCli(port, "cluster", "myid"));
    redisCli(target.port, "cluster", "setslot", slot, "importing", from as string);
    redisCli(source.port, "cluster", "setslot", slot, "migrating", to as string);
    expect(await groups.getAll(keys)).toEqual(expected);
    move(source, target, keys.slice(0, 10));
    expect(await groups.getAll(keys)).toEqual(expected);
    const made = await groups.runScript(SET_AND_TELL, keys, keys, "");
    expect((made as Buffer[]).map(String)).toEqual(keys.map((key) => `${key}=${key}`));
    move(source, target, keys.slice(10));
    expect((await groups.getAll(keys)).map(String)).toEqual(keys);
    for (const { port } of cluster.servers)
      redisCli(port, "cluster", "setslot", slot, "node", to as string);
    expect((await groups.getAll(keys)).map(String)).toEqual(keys);
    expect((await scanKeys(connection.client, `{${tag}}`)).size).toBe(40);
  });

  test("slots that are moved while keys are read and written lose nothing and fail nothing", async () => {
    const [, source, target] = cluster.servers as [RedisServer, RedisServer, RedisServer];
    const tags = [0, 1, 2].map((i) => tagOn(source, i * 100));
    const keys = Array.from({ length: 120 }, (_, i) => `{${tags[i % 3]}}m${i}`);
    const groups = new RedisGroups(connection.client, 8);
    let moving = true;
    let rounds = 0;
    const working = (async () => {
      while (moving || rounds < 3) {
        rounds++;
        const args = keys.map((_, i) => `${rounds}.${i}`);
        const made = await groups.runScript(SET_AND_TELL, keys, args, "");
        expect(made.filter((answer) => answer instanceof Error)).toEqual([]);
        expect((await groups.getAll(keys)).map(String)).toEqual(args);
        await delay(1);
      }
    })();
    const [from, to] = [source, target].map(({ port }) => redisCli(port, "cluster", "myid"));
    for (const tag of tags) {
      const slot = redisCli(source.port, "cluster", "keyslot", `{${tag}}`);
      redisCli(target.port, "cluster", "setslot", slot, "importing", from as string);
      redisCli(source.port, "cluster", "setslot", slot, "migrating", to as string);
      for (const key of keys.filter((k) => k.startsWith(`{${tag}}`))) {
        move(source, target, [key]);
        await delay(1);
      }
      for (const { port } of [target, source, cluster.servers[0] as RedisServer])
        redisCli(port, "cluster", "setslot", slot, "node", to as string);
    }
    moving = false;
    await working;
    expect(rounds).toBeGreaterThan(3);
  });

  /** A tag whose slot this server has. */
  function tagOn(server: RedisServer, from = 0): string {
    const { client } = connection;
    for (let i = from; ; i++) {
      const slot = Number(redisCli(server.port, "cluster", "keyslot", `{t${i}}`));
      if (client instanceof Cluster && client.slots[slot]?.[0] === `127.0.0.1:${server.port}`)
        return `t${i}`;
    }
  }
});

function move(source: RedisServer, target: RedisServer, keys: readonly string[]): void {
  const told = redisCli(
    source.port,
    ...["migrate", "127.0.0.1", String(target.port), "", "0", "5000", "replace", "keys", ...keys],
  );
  if (!/OK|NOKEY/.test(told)) throw new Error(told);
}
