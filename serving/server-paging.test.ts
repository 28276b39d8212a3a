import { beforeAll, expect, test } from "vitest";
import type { RankResponse } from "./http/schemas.ts";
import { type TestServer, testServer } from "./space.fixture.ts";

let server: TestServer;
let viewers: string[];
beforeAll(async () => {
  server = await testServer();
  const { graph } = server.parts;
  viewers = [...graph.users()].filter((user) => graph.following(user).size >= 10);
});
const nextViewer = (): string => viewers.shift() as string;

const ids = (page: RankResponse): string[] => page.items.map(({ post_id }) => post_id);
const nextPage = (user_id: string, { cursor }: RankResponse, limit = 20): Promise<RankResponse> =>
  server.rank({ user_id, limit, cursor: cursor as string });

test("pages follow each other without overlap, ranks running on, to the end of the ranking", async () => {
  const user_id = nextViewer();
  const pages = [await server.rank({ user_id })];
  while (pages.at(-1)?.cursor)
    pages.push(await nextPage(user_id, pages.at(-1) as RankResponse, 50));
  expect(pages.length).toBeGreaterThan(3);
  const all = pages.flatMap(ids);
  expect(new Set(all).size).toBe(all.length);
  expect(all.length).toBeGreaterThan(100);
  expect(all.length).toBeLessThanOrEqual(500);
  const items = pages.flatMap((page) => page.items);
  expect(items.map(({ rank }) => rank)).toEqual(items.map((_, i) => i + 1));
  expect(new Set(pages.map((page) => page.weights_checksum)).size).toBe(1);
});

test("the same cursor gives the same page, however often and whatever was asked between", async () => {
  const user_id = nextViewer();
  const first = await server.rank({ user_id });
  const second = await nextPage(user_id, first);
  await nextPage(user_id, second);
  await server.rank({ user_id });
  server.advance(60_000);
  const again = await nextPage(user_id, first);
  expect({ ...again, request_id: "" }).toEqual({ ...second, request_id: "" });
});

test("a new ranking holds back what the pages before it served", async () => {
  const user_id = nextViewer();
  const first = await server.rank({ user_id });
  const second = await nextPage(user_id, first);
  await server.settled();
  const anew = await server.rank({ user_id });
  const served = new Set([...ids(first), ...ids(second)]);
  expect(ids(anew).filter((id) => served.has(id))).toEqual([]);
});

test("an author blocked between two pages is gone from the second, which is filled up", async () => {
  const user_id = nextViewer();
  const first = await server.rank({ user_id });
  const second = await nextPage(user_id, first);
  const target_id = second.items[2]?.author_id as string;
  await server.send([{ type: "block", user_id, target_id }]);
  const after = await nextPage(user_id, first);
  expect(after.items).toHaveLength(20);
  expect(after.items.map(({ author_id }) => author_id)).not.toContain(target_id);
  const kept = second.items.filter(({ author_id }) => author_id !== target_id);
  expect(ids(after).slice(0, kept.length)).toEqual(kept.map(({ post_id }) => post_id));
  // A dropped item leaves a gap, so that the ranks of later pages do not shift.
  expect(after.items.map(({ rank }) => rank)).not.toContain(second.items[2]?.rank);
});

test("a post deleted between two pages is gone from the second, and explain says so", async () => {
  const user_id = nextViewer();
  const first = await server.rank({ user_id });
  const second = await nextPage(user_id, first);
  const post_id = ids(second)[0] as string;
  await server.send([{ type: "post_deleted", post_id }]);
  const after = await server.rank({
    user_id,
    cursor: first.cursor as string,
    explain: true,
  });
  expect(after.items).toHaveLength(20);
  expect(ids(after)).not.toContain(post_id);
  expect(ids(after).slice(0, 19)).toEqual(ids(second).slice(1));
  expect(after.dropped).toEqual([expect.objectContaining({ post_id, component: "page_check" })]);
});

test("a post whose labels forbid it is on no page, however far down it ranks", async () => {
  const user_id = nextViewer();
  const { posts } = server.parts;
  const first = await server.rank({ user_id });
  const hidden = first.cursor === null ? "" : (ids(await nextPage(user_id, first))[3] as string);
  const post = posts.get(hidden) as { safetyLabels: readonly string[] };
  const labels = post.safetyLabels;
  post.safetyLabels = ["spam"];
  try {
    const second = await nextPage(user_id, first);
    expect(second.items).toHaveLength(20);
    expect(ids(second)).not.toContain(hidden);
  } finally {
    post.safetyLabels = labels;
  }
  const labelled = [...posts.values()].filter(({ safetyLabels }) => safetyLabels.includes("spam"));
  expect(labelled.length).toBeGreaterThan(0);
  const seen = new Set<string>();
  for (let page = first; ; page = await nextPage(user_id, page, 200)) {
    for (const id of ids(page)) seen.add(id);
    if (page.cursor === null) break;
  }
  expect(labelled.filter(({ postId }) => seen.has(postId))).toEqual([]);
});

test("an expired cursor gives a new ranking without what its ranking served, even past the time that served posts are held back", async () => {
  const user_id = nextViewer();
  const first = await server.rank({ user_id });
  const second = await nextPage(user_id, first);
  await server.settled();
  server.advance(30 * 60_000);
  const served = new Set([...ids(first), ...ids(second)]);
  const fresh = await server.rank({ user_id });
  expect(ids(fresh).filter((id) => served.has(id)).length).toBeGreaterThan(5);
  await server.settled();
  server.advance(30 * 60_000);
  const page = await server.rank({ user_id, cursor: second.cursor as string });
  expect(page.items).toHaveLength(20);
  expect(page.items[0]?.rank).toBe(1);
  const all = new Set([...served, ...ids(fresh)]);
  expect(ids(page).filter((id) => all.has(id))).toEqual([]);
});

test("a cursor from before a restart is expired, not forged", async () => {
  const before = await testServer();
  const user_id = nextViewer();
  const first = await before.rank({ user_id });
  await before.close();
  const after = await testServer({ dir: before.dir });
  const page = await after.rank({ user_id, cursor: first.cursor as string });
  expect(page.items).toHaveLength(20);
  expect(ids(page).filter((id) => ids(first).includes(id))).toEqual([]);
});

test("every page is logged as served, in its order, with what it was ranked by", async () => {
  const user_id = nextViewer();
  const first = await server.rank({ user_id });
  const second = await nextPage(user_id, first);
  const served = (await server.recordsOf("served")).filter((record) => record.user_id === user_id);
  for (const [i, page] of [first, second].entries()) {
    const record = served[i];
    expect(record).toMatchObject({
      request_id: page.request_id,
      product: "for_you",
      weights_checksum: page.weights_checksum,
      model_versions: page.model_versions,
      policy: "ranker:world",
      deterministic: true,
      time_ms: server.clock.nowMs(),
    });
    expect(record?.items).toEqual(
      page.items.map(({ post_id, author_id, score, source, in_network }) => ({
        post_id,
        author_id,
        score,
        source,
        in_network,
      })),
    );
    expect(record?.log_position).toBeLessThan(record?.seq as number);
  }
  expect(served).toHaveLength(2);
});
