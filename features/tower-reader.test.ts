import { expect, test } from "vitest";
import { applyEvent } from "./engine.ts";
import { pairKey } from "./entities.ts";
import { POST } from "./families/post-content.ts";
import { towerHash } from "./families/recent-engagements.ts";
import { MemoryState } from "./memory-store.ts";
import { FeatureReader } from "./reader.ts";
import { smallWorld } from "./small-world.fixture.ts";
import {
  POST_TOWER,
  slotsOf,
  type TowerInputs,
  towerColumns,
  towerIdColumns,
  USER_TOWER,
  widthOf,
} from "./tower-inputs.ts";
import { TowerReader } from "./tower-reader.ts";
import { TowerRows } from "./tower-rows.ts";

const events = smallWorld(31);
const state = new MemoryState();
for (const event of events) applyEvent(state, event);
const nowMs = (events.at(-1)?.time_ms as number) + 1;
const reader = new TowerReader();

/** The entries of a bag of the last row. */
function bag(rows: TowerRows, inputs: TowerInputs, name: string): [number, number][] {
  let from = (rows.n - 1) * rows.slots;
  for (const { name: each, slots } of inputs.bags) {
    if (each === name)
      return Array.from({ length: slots }, (_, i): [number, number] => [
        rows.hashes[from + i] as number,
        rows.weights[from + i] as number,
      ]).filter(([hash]) => hash !== 0);
    from += slots;
  }
  throw new Error(`no bag ${name}`);
}

const engagements = events.filter((event) => event.type === "engagement");

test("every column has a name, each once", () => {
  for (const inputs of [USER_TOWER, POST_TOWER]) {
    const names = towerColumns(inputs);
    expect(names.length).toBe(widthOf(inputs) + slotsOf(inputs));
    expect(new Set(names).size).toBe(names.length);
    expect(new Set(towerIdColumns(inputs)).size).toBe(2 * slotsOf(inputs));
  }
  expect(USER_TOWER.features.some((name) => name.includes("_id"))).toBe(false);
});

test("a viewer's features are the registry's, and each kind of media's as a post of it would have", () => {
  const rows = new TowerRows(USER_TOWER, 1);
  const users = [...new Set(engagements.map(({ user_id }) => user_id))].slice(0, 5);
  for (const user of users) reader.user(state, user, nowMs, rows);
  const media = new FeatureReader(USER_TOWER.mediaFeatures, []);
  const plain = new FeatureReader(USER_TOWER.features, []);
  const posts = [...state.keys("post")];
  users.forEach((userId, row) => {
    const at = row * rows.width;
    const wanted = new Float32Array(USER_TOWER.features.length);
    plain.begin(state, { userId, nowMs });
    plain.row("0", undefined, wanted, new Uint32Array(0), 0);
    expect(rows.features.slice(at, at + wanted.length)).toEqual(wanted);
    for (const kind of [0, 1, 2]) {
      const post = posts.find((id) => state.get("post", id)?.[POST.media] === kind);
      if (post === undefined || !state.get("user_media", pairKey(userId, String(kind)))) continue;
      const values = new Float32Array(USER_TOWER.mediaFeatures.length);
      media.begin(state, { userId, nowMs });
      media.row(post, undefined, values, new Uint32Array(0), 0);
      const from = at + wanted.length + kind * values.length;
      expect(rows.features.slice(from, from + values.length), `kind ${kind}`).toEqual(values);
    }
  });
});

test("recent engagements are those of the log, newest first, their squared weights summing to 1", () => {
  const rows = new TowerRows(USER_TOWER, 1);
  const user = engagements.at(-1)?.user_id as string;
  reader.user(state, user, nowMs, rows);
  const posts = bag(rows, USER_TOWER, "recent_posts");
  const acted = new Set(
    engagements
      .filter(({ user_id }) => user_id === user)
      .map(({ post_id }) => towerHash("post", post_id)),
  );
  expect(posts.length).toBeGreaterThan(0);
  for (const [hash] of posts) expect(acted.has(hash)).toBe(true);
  expect(posts.reduce((sum, [, weight]) => sum + weight ** 2, 0)).toBeCloseTo(1, 5);
});

test("followed authors are those followed now, each with the same weight", () => {
  const following = new Map<string, Set<string>>();
  for (const event of events) {
    if (event.type !== "follow" && event.type !== "unfollow") continue;
    const list = following.get(event.user_id) ?? new Set();
    following.set(event.user_id, list);
    if (event.type === "follow") list.add(event.target_id);
    else list.delete(event.target_id);
  }
  let checked = 0;
  for (const [user, authors] of following) {
    const rows = new TowerRows(USER_TOWER, 1);
    reader.user(state, user, nowMs, rows);
    const found = bag(rows, USER_TOWER, "followed_authors");
    expect(found.map(([hash]) => hash).sort()).toEqual(
      [...authors].map((id) => towerHash("author", id)).sort(),
    );
    for (const [, weight] of found) expect(weight).toBeCloseTo(1 / Math.sqrt(authors.size), 5);
    checked += found.length;
  }
  expect(checked).toBeGreaterThan(0);
});

test("a post has its topics, its author's, its language and both ids; one that is unknown has its ids alone", () => {
  const created = events.findLast((event) => event.type === "post_created");
  const { post_id, author_id } = created as { post_id: string; author_id: string };
  const rows = new TowerRows(POST_TOWER, 1);
  reader.begin(state, nowMs);
  reader.post(state, post_id, author_id, rows);
  const topics = bag(rows, POST_TOWER, "topics");
  expect(topics.reduce((sum, [, weight]) => sum + weight, 0)).toBeCloseTo(1, 5);
  expect(bag(rows, POST_TOWER, "author_topics").reduce((sum, [, w]) => sum + w, 0)).toBeCloseTo(
    1,
    5,
  );
  expect(bag(rows, POST_TOWER, "author")).toEqual([[towerHash("author", author_id), 1]]);
  expect(bag(rows, POST_TOWER, "post")).toEqual([[towerHash("post", post_id), 1]]);

  reader.post(state, "123456789", "987654321", rows);
  expect(bag(rows, POST_TOWER, "topics")).toEqual([]);
  expect(bag(rows, POST_TOWER, "post")).toEqual([[towerHash("post", "123456789"), 1]]);
  const unknown = rows.features.subarray(rows.width, 2 * rows.width);
  expect(unknown.every(Number.isNaN)).toBe(true);
});

test("rows that are used again hold nothing of those before", () => {
  const rows = new TowerRows(USER_TOWER, 1);
  const user = engagements.at(-1)?.user_id as string;
  reader.user(state, user, nowMs, rows);
  rows.clear();
  reader.user(state, "424242", nowMs, rows);
  const fresh = new TowerRows(USER_TOWER, 1);
  reader.user(state, "424242", nowMs, fresh);
  expect(rows.hashes).toEqual(fresh.hashes);
  expect(rows.weights).toEqual(fresh.weights);
  expect(rows.features).toEqual(fresh.features);
});
