import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { DEDUPLICATION_WINDOW_MS } from "../../datasets/log/event-log.ts";
import { random } from "../../datasets/random.ts";
import { openDataDir } from "../../datasets/storage/data-dir.ts";
import { REDIS_MISSING, startRedis } from "../../datasets/storage/redis-server.fixture.ts";
import { finallyDo, NODE_ARGS } from "../space.fixture.ts";
import { openState } from "../state/open-state.ts";
import { checkAfterCrash } from "./crash-check.ts";
import { type CrashDrill, crashDrill } from "./crash-drill.ts";

/** Kills a server again and again and looks at what each left. */
async function drill(kills: number, every: number, redisUrl?: string): Promise<CrashDrill> {
  const dataDir = mkdtempSync(join(tmpdir(), "roost-drill-"));
  try {
    return await crashDrill({
      dataDir,
      kills,
      ...(redisUrl !== undefined && { redisUrl }),
      nodeArgs: NODE_ARGS,
      random: random(11, "crash"),
      nowMs: Date.now,
      afterKill: async ({ acknowledged }, kill) => {
        if ((kill + 1) % every !== 0) return;
        const { lost, doubled, differing } = await checkAfterCrash(dataDir, acknowledged, redisUrl);
        expect({ kill, lost, doubled, differing }).toEqual({
          kill,
          lost: [],
          doubled: [],
          differing: [],
        });
      },
    });
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

const enough = ({ kills, acknowledged, repeated }: CrashDrill, phases: readonly string[]): void => {
  for (const phase of phases)
    expect(kills[phase] ?? 0, `${phase} of ${JSON.stringify(kills)}`).toBeGreaterThanOrEqual(3);
  expect(acknowledged.size).toBeGreaterThan(1_000);
  expect(repeated).toBeGreaterThan(0);
};

test("a server that is killed in any step of the write path loses nothing acknowledged and applies nothing twice", {
  timeout: 400_000,
}, async () => {
  enough(await drill(20, 2), ["append", "apply", "checkpoint", "segment_rename"]);
});

test.skipIf(REDIS_MISSING)(
  "so it is on Redis, and stored timelines show what there is (needs redis-server)",
  { timeout: 400_000 },
  async () => {
    const redis = await startRedis({ durable: true });
    finallyDo(() => redis.stop());
    enough(await drill(20, 4, redis.url), ["append", "apply", "segment_rename", "fan_out"]);
  },
);

test("the look after a crash finds what is missing, what is there twice and what was applied besides", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "roost-drill-"));
  try {
    const follow = { type: "follow", time_ms: 5, user_id: "1", target_id: "2" } as const;
    const favorite = {
      type: "engagement",
      time_ms: 6,
      user_id: "1",
      post_id: "9",
      head: "favorite",
    } as const;
    const dir = openDataDir(dataDir, "own");
    const state = await openState(dir);
    // 48 hours later the log takes an id again: the only way to have one twice.
    await state.log.append([{ ...follow, event_id: "a" }, favorite], 0);
    await state.log.append([{ ...follow, event_id: "a" }], DEDUPLICATION_WINDOW_MS + 1);
    await state.live.counts.apply([{ ...favorite, user_id: "3", seq: 1 }], 1);
    await state.close();
    dir.close();
    const found = await checkAfterCrash(dataDir, new Set(["a", "b"]));
    expect(found).toMatchObject({ records: 3, lost: ["b"], doubled: ["a"] });
    expect(found.differing).toEqual([expect.stringMatching(/^counts: /)]);
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});
