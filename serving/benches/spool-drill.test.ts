import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { SPOOL_PHASES } from "../../datasets/phases.ts";
import { random } from "../../datasets/random.ts";
import { REDIS_MISSING, startRedis } from "../../datasets/storage/redis-server.fixture.ts";
import { finallyDo, NODE_ARGS } from "../space.fixture.ts";
import { checkSpooled, misplacedIn } from "./spool-check.ts";
import { SpoolDrill, type SpoolRound } from "./spool-drill.ts";

/** How Redis goes and comes back. */
const OUTAGES = [
  { name: "before a server starts", outageShare: 0, pauseShare: 0, lateShare: 1 },
  { name: "under each server", outageShare: 1, pauseShare: 0, lateShare: 0 },
  { name: "standing still", outageShare: 0.3, pauseShare: 1, lateShare: 0.5 },
] as const;

/** Kills a process once in each step and looks at what there is in the end. */
async function drill({ name, ...shares }: (typeof OUTAGES)[number]) {
  const redis = await startRedis({ durable: true });
  finallyDo(() => redis.stop());
  const dataDir = mkdtempSync(join(tmpdir(), "roost-spool-drill-"));
  finallyDo(async () => rmSync(dataDir, { recursive: true, force: true }));
  const drill = new SpoolDrill({
    ...shares,
    dataDir,
    redis,
    server: "log",
    nodeArgs: NODE_ARGS,
    random: random(7, name),
    nowMs: Date.now,
  });
  const rounds: SpoolRound[] = [];
  for (const step of SPOOL_PHASES) rounds.push(await drill.die(step));
  await drill.settle();
  const { lost, doubled, misplaced, differing } = await checkSpooled(dataDir, drill, redis.url);
  expect({ name, lost, doubled, misplaced, differing }).toEqual({
    name,
    lost: [],
    doubled: [],
    misplaced: [],
    differing: [],
  });
  const { kept } = drill;
  return { rounds, longest: Math.max(...kept.map(({ ids }) => ids.length)) };
}

test.skipIf(REDIS_MISSING)(
  "a process that is killed in any step of keeping events aside and handing them on loses none, doubles none and keeps their order (needs redis-server)",
  { timeout: 120_000 },
  async () => {
    const drills = await Promise.all(OUTAGES.map(drill));
    const rounds = drills.flatMap(({ rounds }) => rounds);
    for (const step of SPOOL_PHASES)
      expect(rounds.filter(({ died }) => died === step).length, step).toBeGreaterThanOrEqual(3);
    // There was much aside, and some of it was left by all but those that died after the last.
    for (const { longest } of drills) expect(longest).toBeGreaterThan(500);
    for (const { died, left } of rounds) if (died !== "spool_out") expect(left).toBeGreaterThan(0);
  },
);

test("an id is misplaced that the log has before one which came first; what was on its way when Redis went is not judged", () => {
  const seqs = new Map([
    ["a", 1],
    ["b", 4],
    ["c", 3],
    ["d", 5],
  ]);
  const ids = ["a", "b", "c", "unknown", "d"];
  expect(misplacedIn(seqs, { ids, except: new Set() })).toEqual(["c"]);
  expect(misplacedIn(seqs, { ids, except: new Set(["b"]) })).toEqual([]);
});
