import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** A redis-server process of one's own, on a free port of the loopback. */
export interface RedisServer {
  readonly port: number;
  readonly url: string;
  /** Ends the process as `kill -9` does. */
  kill(): Promise<void>;
  /** Starts it again on the same port and directory. */
  restart(): Promise<void>;
  /** Holds the process up, and lets it go on. */
  pause(): void;
  resume(): void;
  /** Ends the process and removes its directory. */
  stop(): Promise<void>;
}

export interface RedisServerOptions {
  /** Further arguments, `--name value …`. */
  readonly args?: readonly string[];
  /** `always` is what durable acknowledgement needs. */
  readonly durable?: boolean;
}

/** Starts a server and waits until it answers. */
export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const port = await freePort();
  const dir = mkdtempSync(path.join(tmpdir(), "roost-redis-"));
  const args = [
    ...["--port", String(port), "--bind", "127.0.0.1", "--dir", dir, "--save", ""],
    ...(options.durable ? ["--appendonly", "yes", "--appendfsync", "always"] : []),
    ...(options.args ?? []),
  ];
  let child: ChildProcess;
  const start = async (): Promise<void> => {
    child = spawn("redis-server", args, { stdio: ["ignore", "ignore", "inherit"] });
    await answers(port, child);
  };
  await start();
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  };
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    kill,
    restart: start,
    pause: () => void child.kill("SIGSTOP"),
    resume: () => void child.kill("SIGCONT"),
    stop: async () => {
      await kill();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A cluster of masters, each with as many replicas as asked for. */
export interface RedisCluster {
  readonly url: string;
  readonly servers: readonly RedisServer[];
  stop(): Promise<void>;
}

/** Starts a cluster and waits until all of its nodes agree on it. Masters come first among the servers. */
export async function startRedisCluster(
  masters = 3,
  replicas = 0,
  options: RedisServerOptions = {},
): Promise<RedisCluster> {
  const servers: RedisServer[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  try {
    for (let i = 0; i < masters * (1 + replicas); i++)
      servers.push(
        await startRedis({
          ...options,
          args: [
            ...["--cluster-enabled", "yes", "--cluster-port", String(await freePort())],
            // A master that is silent this long is replaced: soon enough to wait for, late enough for a busy machine.
            ...["--cluster-node-timeout", "2000", "--repl-diskless-sync-delay", "0"],
            ...(options.args ?? []),
          ],
        }),
      );
    const nodes = servers.map(({ port }) => `127.0.0.1:${port}`);
    const made = spawnSync(
      "redis-cli",
      ["--cluster", "create", ...nodes, "--cluster-replicas", String(replicas), "--cluster-yes"],
      { encoding: "utf8" },
    );
    if (made.status !== 0) throw new Error(`no cluster: ${made.stdout}${made.stderr}`);
    await Promise.all(servers.map(({ port }) => joined(port, servers.length)));
    return { url: `redis+cluster://${nodes.slice(0, masters).join(",")}`, servers, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** One command over `redis-cli`: what it printed. */
export function redisCli(port: number, ...args: readonly string[]): string {
  return spawnSync("redis-cli", ["-p", String(port), ...args], { encoding: "utf8" }).stdout.trim();
}

async function joined(port: number, size: number): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt++) {
    const info = redisCli(port, "cluster", "info");
    const role = redisCli(port, "info", "replication");
    const synced = !/role:slave/.test(role) || /master_link_status:up/.test(role);
    if (/cluster_state:ok/.test(info) && info.includes(`cluster_known_nodes:${size}`) && synced)
      return;
    await delay(100);
  }
  throw new Error(`the Redis on port ${port} did not join its cluster`);
}

async function answers(port: number, child: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt++) {
    if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`);
    // A server that asks for a password or speaks TLS answers as well, only not PONG.
    const { status, stdout } = spawnSync("redis-cli", ["-p", String(port), "ping"], {
      encoding: "utf8",
      timeout: 1_000,
    });
    if (status !== null && !/LOADING/.test(stdout) && (status === 0 || /NOAUTH/.test(stdout)))
      return;
    await delay(20);
  }
  throw new Error(`the Redis on port ${port} does not answer`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
