import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { DEDUPLICATION_WINDOW_MS } from "../../datasets/log/event-log.ts";
import { random } from "../../datasets/random.ts";
import { openDataDir } from "../../datasets/storage/data-dir.ts";
import { NODE_ARGS } from "../space.fixture.ts";
import { openState } from "../state/open-state.ts";
import { checkAfterCrash } from "./crash-check.ts";
import { crashDrill } from "./crash-drill.ts";

const KILLS = 20;

test("a server that is killed in any step of the write path loses nothing acknowledged and applies nothing twice", {
  timeout: 400_000,
}, async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "roost-drill-"));
  try {
    const { kills, acknowledged, repeated } = await crashDrill({
      dataDir,
      kills: KILLS,
      nodeArgs: NODE_ARGS,
      random: random(11, "crash"),
      nowMs: Date.now,
      afterKill: async ({ acknowledged }, kill) => {
        const { lost, doubled, differing } = await checkAfterCrash(dataDir, acknowledged);
        expect({ kill, lost, doubled, differing }).toEqual({
          kill,
          lost: [],
          doubled: [],
          differing: [],
        });
      },
    });
    for (const phase of ["append", "apply", "checkpoint", "segment_rename"])
      expect(
        kills[phase] ?? 0,
        `kills during ${phase} of ${JSON.stringify(kills)}`,
      ).toBeGreaterThanOrEqual(3);
    expect(acknowledged.size).toBeGreaterThan(1_000);
    expect(repeated).toBeGreaterThan(0);
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});

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
