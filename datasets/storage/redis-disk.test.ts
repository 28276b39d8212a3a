import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { connectRedis, parseRedisUrl } from "./redis.ts";
import { onEveryReplica, rewriteOnDisk } from "./redis-disk.ts";
import { connectTest, REDIS_MISSING, redisCli, startRedis } from "./redis-server.fixture.ts";

test.skipIf(REDIS_MISSING)(
  "what was removed is gone from every replica when the wait for them ends (needs redis-server)",
  async () => {
    const master = await startRedis();
    onTestFinished(() => master.stop());
    const connection = await connectTest(master.url);
    await connection.client.set("t:a", "1");
    // Nobody to wait for.
    await onEveryReplica(connection);
    const replica = await startRedis({
      args: ["--replicaof", `127.0.0.1 ${master.port}`, "--repl-diskless-sync-delay", "0"],
    });
    onTestFinished(() => replica.stop());
    await expect.poll(() => redisCli(replica.port, "exists", "t:a"), { timeout: 20_000 }).toBe("1");
    await connection.client.unlink("t:a");
    await onEveryReplica(connection);
    expect(redisCli(replica.port, "exists", "t:a")).toBe("0");
    await connection.close();
  },
);

test.skipIf(REDIS_MISSING)(
  "servers with files write them anew, and one that refuses is named (needs redis-server)",
  async () => {
    const server = await startRedis({ durable: true });
    onTestFinished(() => server.stop());
    const connection = await connectTest(server.url);
    const [, dir] = (await (connection.client as Redis).config("GET", "dir")) as [string, string];
    const files = (): string[] =>
      readdirSync(dir, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"));
    await connection.client.set("t:secret", "1");
    await connection.client.del("t:secret");
    expect(files().some((text) => text.includes("secret"))).toBe(true);
    expect(await rewriteOnDisk(connection)).toEqual({ asked: 1, done: 1, refused: [] });
    expect(files().some((text) => text.includes("secret"))).toBe(false);
    // A save that takes a while: one that is under way is waited for, one that is not done in time is not said to be.
    await (connection.client as Redis).config("SET", "save", "3600 1");
    await (connection.client as Redis).config("SET", "rdb-key-save-delay", "2000000");
    await connection.client.set("t:a", "1");
    expect(await rewriteOnDisk(connection, 0)).toEqual({ asked: 1, done: 0, refused: [] });
    await (connection.client as Redis).config("SET", "rdb-key-save-delay", "0");
    expect(await rewriteOnDisk(connection)).toEqual({ asked: 1, done: 1, refused: [] });
    await connection.close();
    redisCli(server.port, "acl", "setuser", "app", "on", ">p", "~*", "+@all", "-bgrewriteaof");
    const app = await connectRedis(parseRedisUrl(`redis://app:p@127.0.0.1:${server.port}`));
    const { asked, refused } = await rewriteOnDisk(app);
    expect(asked).toBe(0);
    expect(refused).toEqual([
      expect.stringMatching(new RegExp(`^127\\.0\\.0\\.1:${server.port}: NOPERM`)),
    ]);
    await app.close();

    const memory = await startRedis();
    onTestFinished(() => memory.stop());
    const without = await connectTest(memory.url);
    expect(await rewriteOnDisk(without)).toEqual({ asked: 0, done: 0, refused: [] });
    await without.close();
  },
);
