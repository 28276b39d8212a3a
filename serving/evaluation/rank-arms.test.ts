import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { readManifest } from "../../datasets/dataset.ts";
import type { EventOf } from "../../datasets/events.ts";
import { ViewerHistory } from "../../datasets/world/viewer-history.ts";
import type { World } from "../../datasets/world/world.ts";
import { createWorldOf } from "../../datasets/world/world-of.ts";
import { readChampion } from "../../features/models/champion.ts";
import { Replay } from "../../features/replay.ts";
import { towersOf } from "../../features/tower-bundle.ts";
import { tinyTowers } from "../inference/tiny-towers.fixture.ts";
import { TowerSession } from "../inference/tower-session.ts";
import { finallyDo, freshSpace } from "../space.fixture.ts";
import { BroadcastState } from "../state/live-state.ts";
import { loadPreset } from "../weights/presets.ts";
import { type Moment, walkHeldOut } from "./held-out.ts";
import { MomentRetrieval } from "./moment-retrieval.ts";
import { type JudgedRequest, type RankArms, rankArms } from "./rank-arms.ts";

/** How many people's first visit of the day is judged. */
const PEOPLE = 12;

let world: World;
let arms: RankArms;
const judged = new Map<string, JudgedRequest>();
let again: JudgedRequest | undefined;
/** What judging with towers that are closed comes to. */
let broken: unknown;
/** With retrieval by untrained towers. */
let withTowers: RankArms;
let closedArms: RankArms;
const retrieved = new Map<string, JudgedRequest>();

beforeAll(async () => {
  const space = await freshSpace();
  const manifest = readManifest(space);
  world = createWorldOf(manifest) as World;
  const bundles = {
    light: await readChampion(join(space, "models", "light")),
    heavy: await readChampion(join(space, "models", "heavy")),
  };
  const weights = await loadPreset("world");
  arms = await rankArms(world, bundles, weights);
  finallyDo(() => arms.close());
  const { user, post } = towersOf(tinyTowers(3));
  const towers = { user: await TowerSession.start(user), post: await TowerSession.start(post) };
  finallyDo(() => towers.user.close());
  finallyDo(() => towers.post.close());
  withTowers = await rankArms(world, bundles, weights, new MomentRetrieval(towers));
  finallyDo(() => withTowers.close());
  const closed = { user: await TowerSession.start(user), post: await TowerSession.start(post) };
  await closed.user.close();
  await closed.post.close();
  closedArms = await rankArms(world, bundles, weights, new MomentRetrieval(closed));
  finallyDo(() => closedArms.close());
  const fromMs = manifest.held_out_from_ms as number;
  const asked = new Set<string>();
  const onImpression = (event: EventOf<"impression">, moment: Moment) => {
    if (asked.size >= PEOPLE || asked.has(event.user_id)) return undefined;
    asked.add(event.user_id);
    return look(event, moment);
  };
  await walkHeldOut(
    space,
    manifest,
    { fromMs, toMs: fromMs + 4 * 3_600_000 },
    world,
    onImpression,
    () => {},
  );
});

async function look({ user_id, time_ms }: EventOf<"impression">, moment: Moment): Promise<void> {
  const request = await arms.judge(user_id, time_ms, moment, true);
  if (request === undefined) return;
  judged.set(user_id, request);
  retrieved.set(user_id, (await withTowers.judge(user_id, time_ms, moment, true)) as JudgedRequest);
  if (again === undefined)
    broken = await closedArms.judge(user_id, time_ms, moment).catch((error) => error);
  if (again === undefined) again = await arms.judge(user_id, time_ms, moment, true);
}

const value = (request: JudgedRequest, arm: string): number => request.values.get(arm) as number;

test("every arm ranks the same candidates, so none is worth more than the oracle's order", () => {
  expect(judged.size).toBeGreaterThanOrEqual(PEOPLE / 2);
  for (const request of judged.values()) {
    expect(request.candidates).toBeGreaterThanOrEqual(20);
    expect(request.inNetwork).toBeLessThanOrEqual(request.candidates);
    expect([...request.values.keys()]).toEqual([...request.ndcg.keys()]);
    for (const [arm, worth] of request.values)
      expect(worth, arm).toBeLessThanOrEqual(value(request, "oracle"));
    for (const [arm, depths] of request.ndcg)
      for (const ndcg of depths) {
        expect(ndcg, arm).toBeGreaterThanOrEqual(0);
        expect(ndcg, arm).toBeLessThanOrEqual(1 + 1e-12);
      }
    expect(request.ndcg.get("oracle")).toEqual([1, 1]);
  }
});

test("what is visible of posts is worth more than knowing their age or popularity", () => {
  const total = (arm: string): number =>
    [...judged.values()].reduce((sum, request) => sum + value(request, arm), 0);
  expect(total("visible")).toBeGreaterThan(total("chronological"));
  expect(total("visible")).toBeGreaterThan(total("popularity"));
  expect(total("visible")).toBeGreaterThan(total("full"));
  expect(total("oracle")).toBeGreaterThan(total("visible"));
});

test("with all eligible posts to choose from, the oracle gains and the page is worth what it was", () => {
  for (const request of judged.values()) {
    const everywhere = (arm: string): number => request.everywhere?.get(arm) as number;
    expect(everywhere("full")).toBe(value(request, "full"));
    expect(everywhere("merged_oracle")).toBe(value(request, "oracle"));
    expect(everywhere("oracle")).toBeGreaterThanOrEqual(everywhere("merged_oracle"));
    expect(everywhere("oracle")).toBeGreaterThanOrEqual(everywhere("visible"));
  }
});

test("the same moment is judged the same again", () => {
  const [first] = judged.values();
  expect(again).toEqual(first);
});

test("a moment with next to nothing to rank is not judged", async () => {
  const replay = new Replay({ features: [], ids: [], heads: ["click"], fromMs: 0, toMs: 0 });
  const empty = { replay, broadcast: new BroadcastState(), viewers: new ViewerHistory() };
  const [user] = world.userIds;
  expect(await arms.judge(user as string, world.heldOutFromMs, empty)).toBeUndefined();
});

test("retrieval adds strangers' posts to the candidates, and more to choose from is worth more", () => {
  const totals = { candidates: 0, oracle: 0 };
  for (const [userId, without] of judged) {
    const request = retrieved.get(userId) as JudgedRequest;
    expect(without.retrieved).toBe(0);
    expect(request.retrieved).toBeGreaterThan(0);
    // Reposts of what was retrieved are left out.
    expect(request.inNetwork).toBeLessThanOrEqual(without.inNetwork);
    totals.candidates += request.candidates - without.candidates;
    totals.oracle += value(request, "oracle") - value(without, "oracle");
    // Whatever was retrieved, the same posts could have been shown, but for reposts.
    const [all, allWithout] = [request, without].map(({ everywhere }) => everywhere?.get("oracle"));
    expect(all).toBeCloseTo(allWithout as number, 1);
  }
  expect(totals.candidates).toBeGreaterThan(100);
  expect(totals.oracle).toBeGreaterThan(0);
});

test("a source that fails ends the evaluation and is named", () => {
  expect(String(broken)).toMatch(/two_tower, in an evaluation/);
});
