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
import type { Moment } from "./held-out.ts";
import { MomentRetrieval, type TowerSessions } from "./moment-retrieval.ts";

const HOUR_MS = 3_600_000;
const WINDOW_HOURS = 30;
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

/** Each post of the window and what its vector, made now, is worth to the viewer. */
async function everyPost({ replay, broadcast }: Moment, userId: string, nowMs: number) {
  const reader = new TowerReader();
  const posts = [...broadcast.posts.values()].filter(
    ({ kind, createdAtMs }) => kind !== "repost" && createdAtMs >= nowMs - WINDOW_HOURS * HOUR_MS,
  );
  const rows = new TowerRows(POST_TOWER);
  reader.begin(replay.state, nowMs);
  for (const { postId, authorId } of posts) reader.post(replay.state, postId, authorId, rows);
  const vectors = await towers.post.run(rows);
  const users = new TowerRows(USER_TOWER);
  reader.user(replay.state, userId, nowMs, users);
  const query = await towers.user.run(users);
  const d = query.length;
  return posts
    .map(({ postId }, i) => ({
      postId,
      score: query.reduce((sum, value, j) => sum + value * (vectors[i * d + j] as number), 0),
    }))
    .sort((a, b) => b.score - a.score);
}

test("finds the nearest of all posts of the window, as their vectors are at that moment", async () => {
  const { moment, to } = walk();
  to(AT);
  const retrieval = new MomentRetrieval(towers, WINDOW_HOURS);
  for (const userId of ["1", "7", "nobody"]) {
    const every = await everyPost(moment, userId, AT);
    expect(every.length).toBeGreaterThan(50);
    const { ids, scores } = await retrieval.at(moment).nearest(userId, AT, 20);
    expect(ids).toEqual(every.slice(0, 20).map(({ postId }) => postId));
    for (let i = 0; i < 20; i++) expect(scores[i]).toBeCloseTo(every[i]?.score as number, 4);
  }
});

test("a post is found as soon as it is written; after two hours all vectors are made anew", async () => {
  const { moment, to } = walk();
  to(AT);
  const retrieval = new MomentRetrieval(towers, WINDOW_HOURS);
  const asked = async (nowMs: number) => {
    const { ids, scores } = await retrieval.at(moment).nearest("1", nowMs, 1_000);
    return new Map(ids.map((id, i) => [id, scores[i] as number]));
  };
  const first = await asked(AT);
  to(AT + HOUR_MS);
  const second = await asked(AT + HOUR_MS);
  const written = [...second.keys()].filter((id) => !first.has(id));
  expect(written.length).toBeGreaterThan(0);
  const now = new Map(
    (await everyPost(moment, "1", AT + HOUR_MS)).map(({ postId, score }) => [postId, score]),
  );
  for (const id of written) expect(second.get(id)).toBeCloseTo(now.get(id) as number, 4);
  // The others' are those of an hour ago.
  expect(
    [...first.keys()].some(
      (id) => Math.abs((second.get(id) as number) - (now.get(id) ?? 0)) > 1e-3,
    ),
  ).toBe(true);
  to(AT + 2 * HOUR_MS);
  const third = await asked(AT + 2 * HOUR_MS);
  const every = await everyPost(moment, "1", AT + 2 * HOUR_MS);
  expect([...third.keys()].sort()).toEqual(every.map(({ postId }) => postId).sort());
  for (const { postId, score } of every) expect(third.get(postId)).toBeCloseTo(score, 4);
});
