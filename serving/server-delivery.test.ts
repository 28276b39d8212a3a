import { expect, test } from "vitest";
import { REDIS_MISSING, redisCli, startRedis } from "../datasets/storage/redis-server.fixture.ts";
import { finallyDo, freshSpace, type TestServer, testServer } from "./space.fixture.ts";

const COUNTS = { favorite: 0, reply: 0, repost: 0, quote: 0, share: 0 };

test("counts move with engagements and their undo, and are the same after a restart", async () => {
  const dir = await freshSpace();
  const first = await testServer({ dir });
  const author_id = [...first.parts.graph.users()][0] as string;
  const post_id = "9999999999999999999";
  const act = (user_id: string, head: string, more: object = {}) => ({
    type: "engagement",
    user_id,
    post_id,
    head,
    ...more,
  });
  await first.send([
    { type: "post_created", post_id, author_id, text: "counted" },
    act("1", "favorite"),
    act("2", "favorite"),
    act("2", "favorite", { undo: true }),
    act("3", "repost"),
  ]);
  const asked = `/v1/counts?post_ids=${post_id},7`;
  const wanted = { counts: { [post_id]: { ...COUNTS, favorite: 1, repost: 1 }, 7: COUNTS } };
  expect((await first.get(asked)).body).toEqual(wanted);
  await first.close();

  const second = await testServer({ dir });
  expect((await second.get(asked)).body).toEqual(wanted);
  await second.send([{ type: "post_deleted", post_id }]);
  expect((await second.get(asked)).body).toEqual({ counts: { [post_id]: COUNTS, 7: COUNTS } });
});

test("a follower's stream position tells of a post that was just written", async () => {
  const server = await testServer();
  const { graph } = server.parts;
  const viewer = [...graph.users()].find((user) => graph.following(user).size > 0) as string;
  const author_id = [...graph.following(viewer)][0] as string;
  const before = await server.get(`/v1/stream/poll?user_id=${viewer}`);
  expect(before.body).toMatchObject({ new_posts: 0, exact: true });
  const { position } = before.body as { position: number };
  await server.send([
    { type: "post_created", post_id: "9999999999999999998", author_id, text: "new" },
  ]);
  const after = await server.get(`/v1/stream/poll?user_id=${viewer}&after=${position}`);
  expect(after.body).toMatchObject({ new_posts: 1, exact: true, after: position });
});

interface Page {
  readonly items: readonly { readonly post_id: string; readonly author_id: string }[];
  readonly cursor: string | null;
  readonly position: number;
  readonly degraded: readonly string[];
}

/** All pages of a following timeline. */
async function allOf(server: TestServer, user: string, limit: number): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | null = null;
  do {
    const page: Page = (
      await server.get(
        `/v1/timelines/following/${user}?limit=${limit}${cursor === null ? "" : `&cursor=${cursor}`}`,
      )
    ).body;
    expect(page.degraded).toEqual([]);
    ids.push(...page.items.map(({ post_id }) => post_id));
    cursor = page.cursor;
  } while (cursor !== null);
  return ids;
}

/** What every way of keeping timelines must show. */
async function timelineTold(server: TestServer): Promise<string[][]> {
  const { graph } = server.parts;
  const viewer = [...graph.users()].find((user) => graph.following(user).size >= 10) as string;
  const [author, muted] = [...graph.following(viewer)] as [string, string];
  const told = [await allOf(server, viewer, 200), await allOf(server, viewer, 7)];
  expect(told[0]?.length).toBeGreaterThan(20);
  const post = (post_id: string, author_id: string, text = "words") => ({
    type: "post_created",
    post_id,
    author_id,
    text,
  });
  server.advance(1_000);
  await server.send([
    post("9000000000000000001", author),
    post("9000000000000000002", muted),
    post("9000000000000000003", author, "a zorbing report"),
    post("9000000000000000004", author),
    { type: "post_deleted", post_id: "9000000000000000004" },
    { type: "mute", user_id: viewer, target_id: muted },
    { type: "muted_keywords_set", user_id: viewer, keywords: ["zorbing"] },
  ]);
  told.push(await allOf(server, viewer, 50));
  expect(told[2]?.[0]).toBe("9000000000000000001");
  for (const gone of ["2", "3", "4"]) expect(told[2]).not.toContain(`900000000000000000${gone}`);
  await server.send([{ type: "unfollow", user_id: viewer, target_id: author }]);
  told.push(await allOf(server, viewer, 50));
  expect(told[3]).not.toContain("9000000000000000001");
  return told;
}

test("a following timeline is the followed accounts' posts, newest first, in pages of any size", async () => {
  const server = await testServer();
  const [large, small] = await timelineTold(server);
  expect(small).toEqual(large);
  const bad = await server.get("/v1/timelines/following/x?limit=0&cursor=y");
  expect(bad.status).toBe(400);
});

test.skipIf(REDIS_MISSING)(
  "timelines that are kept in Redis show the same as those that are looked up (needs redis-server)",
  async () => {
    const redis = await startRedis();
    finallyDo(() => redis.stop());
    const kept = await testServer({ settings: { redisUrl: redis.url } });
    expect(await timelineTold(kept)).toEqual(await timelineTold(await testServer()));
    const { graph } = kept.parts;
    const viewer = [...graph.users()].find((user) => graph.following(user).size >= 9) as string;
    expect(redisCli(redis.port, "exists", `roost:t:{${viewer}}`)).toBe("1");
  },
);
