import { spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Logger, pino } from "pino";
import { afterAll, expect, onTestFinished } from "vitest";
import { simulate } from "../datasets/commands/simulate.ts";
import { readManifest } from "../datasets/dataset.ts";
import type { Event, EventOf, LoggedEvent } from "../datasets/events.ts";
import { openLmdbEventLog } from "../datasets/log/lmdb-event-log.ts";
import { readLog } from "../datasets/log/reader.ts";
import { openRedisEventLog } from "../datasets/log/redis-event-log.ts";
import { openDataDir } from "../datasets/storage/data-dir.ts";
import { connectRedis, parseRedisUrl } from "../datasets/storage/redis.ts";
import type { RankRequest, RankResponse } from "./http/schemas.ts";
import type { RankParts } from "./rank-parts.ts";
import { openServer, type Server, type ServerOptions } from "./server.ts";
import { loadSettings, type Settings } from "./settings.ts";
import { rebuildState } from "./state/open-state.ts";

/** The command line, for child processes. */
export const ROOST = fileURLToPath(new URL("../roost.ts", import.meta.url));
export const NODE_ARGS = ["--import", "tsx"] as const;
const SEED = 7;

const atEnd: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const end of atEnd.splice(0).reverse()) await end();
});

/** Runs `end` after the test, or after the file when it was made outside a test. */
export function finallyDo(end: () => Promise<unknown>): void {
  if (expect.getState().currentTestName === undefined) atEnd.push(end);
  else onTestFinished(async () => void (await end()));
}

/**
 * A data directory of its own with a tiny world, its trained models and its state. The world is made once per test run
 * and copied; removed after the test.
 */
export async function freshSpace(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "roost-space-copy-"));
  finallyDo(() => rm(dir, { recursive: true, force: true }));
  await cp(await madeSpace(), dir, { recursive: true });
  return dir;
}

/** Whichever test file comes first makes the space; the others of the run (they share a parent process) wait for it. */
async function madeSpace(): Promise<string> {
  const path = join(tmpdir(), `roost-space-${process.ppid}`);
  const making = `${path}.making`;
  for (;;) {
    if (await exists(path)) return path;
    try {
      await mkdir(making);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      await delay(100);
      continue;
    }
    try {
      await removeOfEndedRuns();
      if (!(await exists(path))) {
        await makeSpace(join(making, "space"));
        await rename(join(making, "space"), path);
      }
      return path;
    } finally {
      await rm(making, { recursive: true, force: true });
    }
  }
}

async function makeSpace(dir: string): Promise<void> {
  await simulate({ preset: "tiny", seed: SEED, outDir: dir });
  const trained = await roost([
    "train",
    "--data",
    dir,
    "--metric-rounds",
    "0",
    "--rankers",
    "light,heavy",
  ]);
  if (trained.code !== 0) throw new Error(`training failed: ${trained.stderr}`);
  const owned = openDataDir(dir, "own");
  await rebuildState(owned, () => {});
  owned.close();
}

async function removeOfEndedRuns(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = /^roost-space-(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !(await exists(`/proc/${pid}`)))
      await rm(join(tmpdir(), name), { recursive: true, force: true });
  }
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The environment of a child without the settings of whoever runs the tests. */
export function plainEnv(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("ROOST_"));
  return { ...Object.fromEntries(inherited), ...extra };
}

/** Runs the command line to its end. */
export function roost(
  args: readonly string[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string } = {},
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...NODE_ARGS, ROOST, ...args], {
      env: plainEnv(options.env),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (text) => (stdout += text));
    child.stderr.on("data", (text) => (stderr += text));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
}

export interface TestServer extends Omit<Server, "rank"> {
  readonly dir: string;
  /** What the server ranks with. */
  readonly parts: RankParts;
  /** The first millisecond of the held-out day: where the world's clock begins. */
  readonly startMs: number;
  readonly lines: Record<string, unknown>[];
  /** Moves time on; it stands still otherwise. */
  advance(ms: number): void;
  rank(body: Partial<RankRequest>): Promise<RankResponse>;
  post(path: string, body: unknown): Promise<{ status: number; body: never }>;
  get(path: string): Promise<{ status: number; body: never }>;
  /** Sends events; they are durable and applied when it resolves. */
  send(events: readonly unknown[]): Promise<void>;
  /** Waits until what follows answers is logged and applied. */
  settled(): Promise<void>;
  /** Every record of the space so far, in order of arrival. */
  records(): Promise<LoggedEvent[]>;
  recordsOf<T extends Event["type"]>(type: T): Promise<(EventOf<T> & { seq: number })[]>;
}

/** A server on a fresh copy of the space, its clock standing at the start of the held-out day until `advance`. */
export async function testServer(
  options: ServerOptions & {
    readonly dir?: string;
    readonly settings?: Partial<Settings>;
    /** Where the wall clock stands, after the start of the held-out day. */
    readonly atMs?: number;
  } = {},
): Promise<TestServer> {
  const { dir = await freshSpace(), settings = {}, atMs = 0, ...rest } = options;
  const startMs = readManifest(dir).held_out_from_ms as number;
  let passedMs = atMs;
  const lines: Record<string, unknown>[] = [];
  const server = await openServer(
    loadSettings({
      env: {},
      defaults: { dataDir: dir, clock: "world", port: 0, ...redisOf(dir), ...settings },
    }),
    memoryLogger(lines),
    {
      // A machine that runs many tests at once answers late.
      retrievalTimeoutMs: 10_000,
      time: { wallMs: () => startMs + passedMs, monotonicMs: () => passedMs },
      ...rest,
    },
  );
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= server.close());
  finallyDo(close);

  const post: TestServer["post"] = async (url, body) => {
    const reply = await server.app.server.inject({
      method: "POST",
      url,
      headers: { "content-type": "application/json" },
      payload: JSON.stringify(body),
    });
    return { status: reply.statusCode, body: reply.json() as never };
  };
  const get: TestServer["get"] = async (url) => {
    const reply = await server.app.server.inject(url);
    return { status: reply.statusCode, body: reply.json() as never };
  };
  const settled = async (): Promise<void> => {
    await server.rank.after.settled();
    await server.caughtUp();
  };
  const records = async (): Promise<LoggedEvent[]> => {
    await settled();
    // Another reader than the server's own: what is found here is durable.
    const { redisUrl } = { ...redisOf(dir), ...settings };
    const redis = redisUrl === undefined ? undefined : await connectRedis(parseRedisUrl(redisUrl));
    const log = redis
      ? await openRedisEventLog(redis)
      : openLmdbEventLog(join(dir, "log"), { readOnly: true });
    try {
      const all: LoggedEvent[] = [];
      for await (const batch of readLog({ segments: join(dir, "segments"), log }, { order: "seq" }))
        all.push(...batch);
      return all;
    } finally {
      await log.close();
      await redis?.close();
    }
  };
  return {
    ...server,
    parts: server.rank,
    dir,
    startMs,
    lines,
    close,
    advance: (ms) => {
      passedMs += ms;
    },
    post,
    get,
    rank: async (body) => {
      const answer = await post("/v1/rank", { product: "for_you", limit: 20, ...body });
      expect(answer.status, JSON.stringify(answer.body)).toBe(200);
      return answer.body;
    },
    send: async (events) => {
      const answer = await post("/v1/events", events);
      expect(answer.status, JSON.stringify(answer.body)).toBe(200);
      await server.caughtUp();
    },
    settled,
    records,
    recordsOf: async (type) => (await records()).filter((event) => event.type === type) as never,
  };
}

/** With ROOST_REDIS_URL every space of the tests is kept there, under a prefix of its own. */
function redisOf(dir: string): { redisUrl?: string } {
  const { ROOST_REDIS_URL: url } = process.env;
  if (url === undefined) return {};
  return { redisUrl: `${url}${url.includes("?") ? "&" : "?"}prefix=${basename(dir)}:` };
}

function memoryLogger(lines: Record<string, unknown>[]): Logger {
  return pino(
    { level: "info" },
    { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
  );
}
