import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import { REDIS_MISSING, startRedis } from "../../datasets/storage/redis-server.fixture.ts";
import { finallyDo, NODE_ARGS } from "../space.fixture.ts";
import { checkSpooled, misplacedIn } from "./spool-check.ts";
import { SPOOL_STEPS, SpoolDrill, type SpoolRound } from "./spool-drill.ts";

const CYCLES = 3;

test.skipIf(REDIS_MISSING)(
  "a process that is killed in any step of keeping events aside and handing them on loses none, doubles none and keeps their order (needs redis-server)",
  { timeout: 120_000 },
  async () => {
    const redis = await startRedis({ durable: true });
    finallyDo(() => redis.stop());
    const dataDir = mkdtempSync(join(tmpdir(), "roost-spool-drill-"));
    finallyDo(async () => rmSync(dataDir, { recursive: true, force: true }));
    const drill = new SpoolDrill({
      dataDir,
      redis,
      server: "log",
      nodeArgs: NODE_ARGS,
      random: random(7, "spool"),
      nowMs: Date.now,
      outageShare: 0.2,
      pauseShare: 0.1,
      lateShare: 0.3,
    });
    const rounds: SpoolRound[] = [];
    for (let cycle = 0; cycle < CYCLES; cycle++)
      for (const step of SPOOL_STEPS) rounds.push(await drill.die(step));
    for (const step of SPOOL_STEPS)
      expect(rounds.filter(({ died }) => died === step).length, step).toBeGreaterThanOrEqual(3);
    await drill.settle();
    const { lost, doubled, misplaced, differing } = await checkSpooled(dataDir, drill, redis.url);
    expect({ lost, doubled, misplaced, differing }).toEqual({
      lost: [],
      doubled: [],
      misplaced: [],
      differing: [],
    });
    // Whole spools were looked at, and every server left some of what it had, but those that died after the last.
    expect(drill.kept.some(({ ids }) => ids.length > 200)).toBe(true);
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
