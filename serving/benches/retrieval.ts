import { randomUUID } from "node:crypto";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { pino } from "pino";
import { RoostError } from "../../errors.ts";
import { hasChampion } from "../../features/models/champion.ts";
import { TWO_TOWER } from "../../features/tower-bundle.ts";
import { openServer, type Server } from "../server.ts";
import { loadSettings } from "../settings.ts";
import type { RetrievalStep } from "../state/retrieval-delay.ts";
import { figure, quantile, writeReport } from "./bench-report.ts";
import { DEMO_SEED, prepareDemoSpace, runRoost } from "./demo-space.ts";

/*
 * How long a post takes from the request that writes it until retrieval's index finds it, and a deleted one until it does
 * not, on a whole server of the demo world with posts, deletions and rankings coming steadily. The space is copied for each
 * run. With `ROOST_REDIS_URL` log and features are there.
 */
const WARM_UP_S = 2;
const DELETED_SHARE = 0.2;
/** A post is deleted so long after it was written. */
const LIFE_MS = 2_000;
const MOST_WAIT_MS = 30_000;

const USAGE =
  "usage: roost bench retrieval [--posts-per-s N (200)] [--ranks-per-s N (10)] [--seconds N (20)] [--data-dir DIR (.roost)] [--json]";

const { values: flags } = parseArgs({
  options: {
    help: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    "posts-per-s": { type: "string", default: "200" },
    "ranks-per-s": { type: "string", default: "10" },
    seconds: { type: "string", default: "20" },
    "data-dir": { type: "string", default: process.env.ROOST_DATA_DIR ?? ".roost" },
  },
});

async function main(): Promise<void> {
  if (flags.help) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  const kept = join(flags["data-dir"], "bench-rank-two-tower");
  await prepareDemoSpace(kept);
  if (!(await hasChampion(join(kept, "models", TWO_TOWER))))
    runRoost(["train", "--data", kept, "--rankers", TWO_TOWER, "--metric-rounds", "0"]);
  const space = mkdtempSync(join(tmpdir(), "roost-bench-retrieval-"));
  try {
    cpSync(kept, space, { recursive: true, filter: (from) => !from.endsWith("/lock") });
    const { ROOST_REDIS_URL: redisUrl } = process.env;
    const settings = loadSettings({
      env: {},
      flags: {
        dataDir: space,
        clock: "world",
        ...(redisUrl !== undefined && { redisUrl: ofItsOwn(redisUrl) }),
      },
    });
    const steps = new Steps();
    const server = await openServer(settings, pino({ level: "silent" }), {
      onRetrieval: (step, _, postId) => steps.reached(step, postId),
    });
    try {
      await server.retrievable();
      writeReport("retrieval", { seed: DEMO_SEED, ...(await measure(server, steps)) }, flags.json);
    } finally {
      await server.close();
    }
  } finally {
    rmSync(space, { recursive: true, force: true });
  }
}

/** Under a prefix that nothing else has. */
const ofItsOwn = (url: string): string =>
  `${url}${url.includes("?") ? "&" : "?"}prefix=bench-retrieval-${randomUUID()}:`;

/** Who waits for a post to come to a step. */
class Steps {
  readonly #waiting = new Map<string, () => void>();

  reached(step: RetrievalStep, postId: string): void {
    const key = `${step} ${postId}`;
    this.#waiting.get(key)?.();
    this.#waiting.delete(key);
  }

  /** @throws INTERNAL when it does not within half a minute */
  until(step: RetrievalStep, postId: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(
        () =>
          reject(new RoostError("INTERNAL", `${postId} is not ${step} after ${MOST_WAIT_MS} ms`)),
        MOST_WAIT_MS,
      );
      this.#waiting.set(`${step} ${postId}`, () => {
        clearTimeout(late);
        resolve();
      });
    });
  }
}

interface Times {
  readonly found: number[];
  readonly gone: number[];
  readonly ranked: number[];
}

async function measure(server: Server, steps: Steps) {
  const users = [...server.rank.graph.users()];
  const times: Times = { found: [], gone: [], ranked: [] };
  const { "posts-per-s": posts, "ranks-per-s": ranks, seconds } = flags;
  const [postsPerS, ranksPerS, s] = [Number(posts), Number(ranks), Number(seconds)];
  let id = 8_000_000_000_000_000_000n;
  const beganAt = performance.now();
  const isWarm = (): boolean => performance.now() - beganAt >= 1_000 * WARM_UP_S;
  const user = (i: number): string => users[(i * 7_919) % users.length] as string;
  await Promise.all([
    paced(postsPerS, s + WARM_UP_S, async (i) => {
      const postId = String(id++);
      const measured = isWarm();
      const author = user(i);
      const found = await timed(
        server,
        written(server, postId, author),
        steps.until("retrievable", postId),
      );
      if (measured) times.found.push(found);
      if (i % Math.round(1 / DELETED_SHARE) !== 0) return;
      await delay(LIFE_MS);
      const gone = await timed(
        server,
        { type: "post_deleted", time_ms: server.clock.nowMs(), post_id: postId, author_id: author },
        steps.until("gone", postId),
      );
      if (measured) times.gone.push(gone);
    }),
    paced(ranksPerS, s + WARM_UP_S, async (i) => {
      const at = performance.now();
      const payload = { user_id: user(i), product: "for_you", limit: 50 };
      await post(server, "/v1/rank", payload);
      if (isWarm()) times.ranked.push(performance.now() - at);
    }),
  ]);
  const asked = (name: string, all: readonly number[]) => {
    const value = quantile(all, 0.99);
    return { ...figure(name, value, "ms"), asked: "≤ 1000", ok: value <= 1_000 };
  };
  return {
    rounds: [],
    figures: [
      figure("retrievable_p50_ms", quantile(times.found, 0.5), "ms"),
      asked("retrievable_p99_ms", times.found),
      figure("gone_p50_ms", quantile(times.gone, 0.5), "ms"),
      asked("gone_p99_ms", times.gone),
      figure("rank_p50_ms", quantile(times.ranked, 0.5), "ms"),
      figure("rank_p99_ms", quantile(times.ranked, 0.99), "ms"),
      figure("posts", times.found.length, "posts"),
      figure("posts_per_s", times.found.length / s, "posts/s"),
      figure("indexed", server.vectors.size, "posts"),
    ],
  };
}

/** Calls `work` so often a second, whether or not earlier calls are done, and waits for all. */
async function paced(
  perS: number,
  seconds: number,
  work: (i: number) => Promise<void>,
): Promise<void> {
  const running: Promise<void>[] = [];
  const beganAt = performance.now();
  for (let i = 0; i < perS * seconds; i++) {
    const wait = beganAt + (1_000 * i) / perS - performance.now();
    if (wait > 0) await delay(wait);
    running.push(work(i));
  }
  await Promise.all(running);
}

const written = (server: Server, post_id: string, author_id: string) => ({
  type: "post_created",
  time_ms: server.clock.nowMs(),
  post_id,
  author_id,
  text: "what somebody writes about something",
  language: "en",
});

/** Milliseconds from the request with an event until the index has come to it. */
async function timed(server: Server, event: object, reached: Promise<void>): Promise<number> {
  const at = performance.now();
  const sent = post(server, "/v1/events", { events: [event] });
  await reached;
  const took = performance.now() - at;
  await sent;
  return took;
}

async function post(server: Server, url: string, payload: object): Promise<void> {
  const answer = await server.app.server.inject({ method: "POST", url, payload });
  if (answer.statusCode >= 300) throw new RoostError("INTERNAL", answer.body);
}

await main();
