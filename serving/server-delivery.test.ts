import { expect, test } from "vitest";
import { freshSpace, testServer } from "./space.fixture.ts";

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
