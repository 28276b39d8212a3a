import { expect, test } from "vitest";
import { PostStore } from "../../candidates/post-store.ts";
import { SocialGraph } from "../../candidates/social-graph.ts";
import { EventSchema, type LoggedEvent } from "../../datasets/events.ts";
import { NewPosts } from "./new-posts.ts";

function world() {
  const posts = new PostStore();
  const graph = new SocialGraph();
  const newPosts = new NewPosts({ posts, graph }, 0);
  let seq = 0;
  return {
    newPosts,
    /** Logs and applies events as one batch. */
    log: (...events: object[]): number => {
      const batch = events.map((fields) => {
        const event = { ...EventSchema.parse({ time_ms: 1_000 + seq, ...fields }), seq: ++seq };
        posts.apply(event);
        graph.apply(event);
        return event as LoggedEvent;
      });
      newPosts.apply(batch);
      return seq;
    },
  };
}
const follow = (user_id: string, target_id: string) => ({ type: "follow", user_id, target_id });
const post = (post_id: string, author_id: string, more: object = {}) => ({
  type: "post_created",
  post_id,
  author_id,
  ...more,
});

test("posts of followed accounts since a place in the log count, replies and others' do not", () => {
  const { newPosts, log } = world();
  const start = log(follow("1", "2"), follow("1", "3"), post("10", "2"));
  log(post("11", "2"), post("12", "4"), post("13", "3", { in_reply_to_post_id: "10" }));
  const end = log(post("14", "3", { repost_of_post_id: "12" }));
  expect(newPosts.since("1", start)).toEqual({ count: 2, exact: true, position: end });
  expect(newPosts.since("1", end)).toEqual({ count: 0, exact: true, position: end });
  expect(newPosts.since("9", start).count).toBe(0);
});

test("what was deleted, and authors who are blocked, block or are muted by now, do not count", () => {
  const { newPosts, log } = world();
  log(...["2", "3", "4", "5"].map((author) => follow("1", author)));
  const start = newPosts.position;
  log(post("10", "2"), post("11", "3"), post("12", "4"), post("13", "5"));
  expect(newPosts.since("1", start).count).toBe(4);
  log({ type: "post_deleted", post_id: "10" });
  log({ type: "mute", user_id: "1", target_id: "3" });
  log({ type: "block", user_id: "4", target_id: "1" });
  expect(newPosts.since("1", start).count).toBe(1);
});

test("counting ends at 200 and says so, and before what this process has been told it cannot be exact", () => {
  const { newPosts, log } = world();
  const start = log(follow("1", "2"));
  log(...Array.from({ length: 250 }, (_, i) => post(String(100 + i), "2")));
  expect(newPosts.since("1", start)).toMatchObject({ count: 200, exact: false });
  const later = new NewPosts({ posts: new PostStore(), graph: new SocialGraph() }, 500);
  expect(later.since("1", 500)).toMatchObject({ count: 0, exact: true });
  expect(later.since("1", 499)).toMatchObject({ count: 0, exact: false });
});

test("a watcher hears once a batch of those whom the viewer follows, until it stops", () => {
  const { newPosts, log } = world();
  log(follow("1", "2"), follow("1", "3"));
  let heard = 0;
  const stop = newPosts.watch("1", () => heard++);
  log(post("10", "2"), post("11", "3"));
  log(post("12", "4"));
  expect(heard).toBe(1);
  stop();
  log(post("13", "2"));
  expect(heard).toBe(1);
});
