import { afterAll, beforeAll, expect, test } from "vitest";
import type { Event } from "../../datasets/events.ts";
import { ViewerHistory } from "../../datasets/world/viewer-history.ts";
import { Replay } from "../../features/replay.ts";
import { SMALL_WORLD_START_MS, smallWorld } from "../../features/small-world.fixture.ts";
import { towersOf } from "../../features/tower-bundle.ts";
import { POST_TOWER, USER_TOWER } from "../../features/tower-inputs.ts";
import { TowerReader } from "../../features/tower-reader.ts";
import { TowerRows } from "../../features/tower-rows.ts";
import { tinyTowers } from "../inference/tiny-towers.fixture.ts";
import { TowerSession } from "../inference/tower-session.ts";
import { BroadcastState } from "../state/live-state.ts";
import { isDue, WINDOW_MS } from "../state/post-vectors.ts";
import type { Moment } from "./held-out.ts";
import { MomentRetrieval, type TowerSessions } from "./moment-retrieval.ts";

const HOUR_MS = 3_600_000;
const EVENTS = smallWorld(4, { posts: 200, deletions: true });
const AT = SMALL_WORLD_START_MS + 40 * HOUR_MS;

let towers: TowerSessions;
beforeAll(async () => {
  const { user, post } = towersOf(tinyTowers(3));
  towers = { user: await TowerSession.start(user), post: await TowerSession.start(post) };
});
afterAll(async () => {
  await towers.user.close();
  await towers.post.close();
});

/** A walk that stands before what happens at `untilMs`. */
function walk() {
  const features: string[] = [];
  const moment: Moment = {
    replay: new Replay({ features, ids: [], heads: [], fromMs: 0, toMs: 1 }),
    broadcast: new BroadcastState(),
    viewers: new ViewerHistory(),
  };
  let next = 0;
  const to = (untilMs: number): void => {
    for (; (EVENTS[next] as Event).time_ms < untilMs; next++) {
      moment.replay.push(EVENTS[next] as Event);
      moment.broadcast.apply(EVENTS[next] as Event);
    }
  };
  return { moment, to };
}

/** Each post of the window with its vector, made now. */
async function everyPost({ replay, broadcast }: Moment, nowMs: number) {
  const reader = new TowerReader();
  const posts = [...broadcast.posts.values()].filter(
    ({ kind, createdAtMs }) => kind !== "repost" && createdAtMs >= nowMs - WINDOW_MS,
  );
  const rows = new TowerRows(POST_TOWER);
  reader.begin(replay.state, nowMs);
  for (const { postId, authorId } of posts) reader.post(replay.state, postId, authorId, rows);
  const vectors = await towers.post.run(rows);
  const d = vectors.length / posts.length;
  return new Map(
    posts.map((post, i) => [
      post.postId,
      { post, vector: vectors.slice(i * d, (i + 1) * d), atMs: nowMs },
    ]),
  );
}

/** What each vector is worth to the viewer, the best first. */
async function scored(
  made: Awaited<ReturnType<typeof everyPost>>,
  { replay }: Moment,
  userId: string,
  nowMs: number,
) {
  const users = new TowerRows(USER_TOWER);
  new TowerReader().user(replay.state, userId, nowMs, users);
  const query = await towers.user.run(users);
  return Array.from(made, ([postId, { vector }]) => ({
    postId,
    score: query.reduce((sum, value, j) => sum + value * (vector[j] as number), 0),
  })).sort((a, b) => b.score - a.score);
}

test("finds the nearest of all posts of the window, as their vectors are at that moment", async () => {
  const { moment, to } = walk();
  to(AT);
  const retrieval = new MomentRetrieval(towers);
  const every = await everyPost(moment, AT);
  expect(every.size).toBeGreaterThan(50);
  for (const userId of ["1", "7", "nobody"]) {
    const best = await scored(every, moment, userId, AT);
    const { ids, scores } = await retrieval.at(moment).nearest(userId, AT, 20);
    expect(ids).toEqual(best.slice(0, 20).map(({ postId }) => postId));
    for (let i = 0; i < 20; i++) expect(scores[i]).toBeCloseTo(best[i]?.score as number, 4);
  }
});

test("a post is found as soon as it is written, until it is deleted, its vector as old as a server's", async () => {
  const { moment, to } = walk();
  to(AT);
  const retrieval = new MomentRetrieval(towers);
  await retrieval.at(moment).nearest("1", AT, 1);
  let held = await everyPost(moment, AT);
  const seen = { written: 0, gone: 0, anew: 0, old: 0 };
  for (let hour = 1; hour <= 4; hour++) {
    const nowMs = AT + hour * HOUR_MS;
    to(nowMs);
    const now = await everyPost(moment, nowMs);
    for (const id of held.keys()) if (!now.has(id)) seen.gone++;
    held = new Map(
      Array.from(now, ([id, made]) => {
        const before = held.get(id);
        const due = before === undefined || isDue(made.post, before.atMs, nowMs);
        seen[before === undefined ? "written" : due ? "anew" : "old"]++;
        return [id, due ? made : before];
      }),
    );
    const expected = await scored(held, moment, "1", nowMs);
    const { ids, scores } = await retrieval.at(moment).nearest("1", nowMs, 1_000);
    expect([...ids].sort()).toEqual(expected.map(({ postId }) => postId).sort());
    const found = new Map(ids.map((id, i) => [id, scores[i] as number]));
    for (const { postId, score } of expected) expect(found.get(postId)).toBeCloseTo(score, 4);
  }
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(0);
});
