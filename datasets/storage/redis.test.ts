import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connectRedis, parseRedisUrl } from "./redis.ts";
import {
  connectTest,
  REDIS_MISSING,
  type RedisServer,
  redisCli,
  startRedis,
  startRedisCluster,
} from "./redis-server.fixture.ts";

test("a URL says nodes, TLS, user, database and prefix", () => {
  expect(parseRedisUrl("redis://cache")).toEqual({
    kind: "single",
    nodes: [{ host: "cache", port: 6379 }],
    tls: false,
    caFile: undefined,
    username: undefined,
    password: undefined,
    db: 0,
    prefix: "roost:",
  });
  expect(
    parseRedisUrl("rediss://app:p%40ss@10.0.0.1:7000/2?prefix=eu:&ca=/etc/ca.pem"),
  ).toMatchObject({ tls: true, username: "app", password: "p@ss", db: 2, prefix: "eu:" });
  expect(parseRedisUrl("redis+cluster://a:1,b:2,[::1]:3").nodes).toEqual([
    { host: "a", port: 1 },
    { host: "b", port: 2 },
    { host: "::1", port: 3 },
  ]);
});

test.each([
  ["http://a", /must be redis:/],
  ["redis://a,b", /several hosts are a cluster/],
  ["redis+cluster://a,b/3", /no databases/],
  ["redis://a:99999", /no host:port/],
  ["redis://a?prefx=1", /\?prefx= is unknown/],
  ["redis://a?prefix=%20", /\?prefix= takes/],
  ["redis://a?ca=/x", /begin the URL with rediss/],
  ["redis://u:%E0%A4@a", /percent-encoded/],
  ["rediss://a?ca=/nowhere/ca.pem", /cannot be read/],
])("%s is refused with the reason", async (url, reason) => {
  await expect((async () => connectRedis(parseRedisUrl(url)))()).rejects.toThrow(reason);
});

test("a password is never part of a message", () => {
  expect(() => parseRedisUrl("redis://user:secret@a?x=1")).toThrow(/^(?!.*secret)/);
});

describe.skipIf(REDIS_MISSING)(`with a server (needs redis-server)`, () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());

  test("commands work, fail while the server is gone, and work again when it is back", async () => {
    const redis = await connectTest(server.url);
    await redis.client.set("a", "1");
    await server.kill();
    await expect(redis.client.get("a")).rejects.toThrow();
    await expect(redis.client.get("a")).rejects.toThrow();
    await server.restart();
    await expect
      .poll(() => redis.client.get("a").catch(() => "gone"), { timeout: 10_000 })
      .toBe(null);
    await redis.close();
  });

  test("a server that hangs fails a command after two seconds", async () => {
    const redis = await connectTest(server.url);
    server.pause();
    try {
      await expect(redis.client.get("a")).rejects.toThrow(/timed out/i);
    } finally {
      server.resume();
    }
    await redis.close();
  });

  test("nobody there is REDIS_UNAVAILABLE with the address and without the password", async () => {
    const gone = await startRedis();
    await gone.stop();
    await expect(
      connectRedis(parseRedisUrl(`redis://u:secret@127.0.0.1:${gone.port}`), undefined, 300),
    ).rejects.toMatchObject({
      code: "REDIS_UNAVAILABLE",
      detail: expect.stringMatching(new RegExp(`^127.0.0.1:${gone.port}: (?!.*secret)`)),
    });
  });
});

test.skipIf(REDIS_MISSING)(
  "TLS with a private authority and an ACL user (needs redis-server)",
  async () => {
    const dir = mkdtempSync(path.join(tmpdir(), "roost-tls-"));
    const openssl = (...args: string[]) => spawnSync("openssl", args, { cwd: dir });
    openssl(
      ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "ca.pem"],
      ...["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
    );
    const tls = await startRedis({
      args: [
        ...["--tls-port", "0", "--tls-cert-file", path.join(dir, "ca.pem")],
        ...[
          "--tls-key-file",
          path.join(dir, "key.pem"),
          "--tls-ca-cert-file",
          path.join(dir, "ca.pem"),
        ],
        ...["--tls-auth-clients", "no"],
      ],
    });
    try {
      const port = tls.port + 1 > 65_535 ? tls.port - 1 : tls.port + 1;
      redisCli(tls.port, "config", "set", "tls-port", String(port));
      redisCli(tls.port, "acl", "setuser", "app", "on", ">s3cret/word", "~eu:*", "+@all");
      const url = `rediss://app:s3cret%2Fword@127.0.0.1:${port}?ca=${path.join(dir, "ca.pem")}&prefix=eu:`;
      const redis = await connectRedis(parseRedisUrl(url));
      await redis.client.set("eu:a", "1");
      await expect(redis.client.set("us:a", "1")).rejects.toThrow(/NOPERM/);
      await redis.close();
      await expect(
        connectRedis(parseRedisUrl(url.replace("s3cret", "other"))),
      ).rejects.toMatchObject({ code: "REDIS_UNAVAILABLE" });
    } finally {
      await tls.stop();
      rmSync(dir, { recursive: true });
    }
  },
);

test.skipIf(REDIS_MISSING)("a cluster is found from one node (needs redis-server)", async () => {
  const cluster = await startRedisCluster();
  try {
    const [first] = cluster.servers as [RedisServer];
    const redis = await connectTest(`redis+cluster://127.0.0.1:${first.port}`);
    for (let i = 0; i < 50; i++) await redis.client.set(`t:${i}`, String(i));
    const held = cluster.servers.map(({ port }) => Number(redisCli(port, "dbsize")));
    expect(held.reduce((a, b) => a + b)).toBe(50);
    expect(held.every((n) => n > 0)).toBe(true);
    expect(await redis.client.get("t:7")).toBe("7");
    await redis.close();
  } finally {
    await cluster.stop();
  }
});
