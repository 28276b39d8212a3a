import { beforeEach, expect, test } from "vitest";
import { PostStore } from "../../candidates/post-store.ts";
import { SocialGraph } from "../../candidates/social-graph.ts";
import { EventSchema } from "../../datasets/events.ts";
import { mayShow } from "./may-show.ts";

const VIEWER = "7";
let posts: PostStore;
let graph: SocialGraph;
const apply = (event: object): void => {
  const checked = EventSchema.parse({ time_ms: 1_000, ...event });
  posts.apply(checked);
  graph.apply(checked);
};
const create = (fields: object = {}): void =>
  apply({ type: "post_created", post_id: "1", author_id: "2", text: "x", ...fields });
const shown = (): boolean => mayShow({ posts, graph }, VIEWER)({ postId: "1", authorId: "2" });

beforeEach(() => {
  posts = new PostStore();
  graph = new SocialGraph();
});

test("a post that nothing speaks against is shown, a deleted one is not", () => {
  create();
  expect(shown()).toBe(true);
  apply({ type: "post_deleted", post_id: "1" });
  expect(shown()).toBe(false);
});

test("labels that hide a post hide it from everybody, others from those who do not follow the author", () => {
  create({ safety_labels: ["spam"] });
  apply({ type: "follow", user_id: VIEWER, target_id: "2" });
  expect(shown()).toBe(false);
  posts = new PostStore();
  create({ safety_labels: ["abusive"] });
  expect(shown()).toBe(true);
  apply({ type: "unfollow", user_id: VIEWER, target_id: "2" });
  expect(shown()).toBe(false);
});

test.each([
  ["author", {}, "2", [false, false, false]],
  [
    "reposted author",
    { repost_of_post_id: "5", repost_of_author_id: "3" },
    "3",
    [false, false, false],
  ],
  ["quoted author", { quote_of_post_id: "5", quote_of_author_id: "3" }, "3", [false, false, true]],
])("a block of, by, and a mute of the %s are respected", (_who, fields, other, expected) => {
  const relations = [
    { type: "block", user_id: VIEWER, target_id: other },
    { type: "block", user_id: other, target_id: VIEWER },
    { type: "mute", user_id: VIEWER, target_id: other },
  ];
  expect(
    relations.map((relation) => {
      posts = new PostStore();
      graph = new SocialGraph();
      create(fields);
      expect(shown()).toBe(true);
      apply(relation);
      return shown();
    }),
  ).toEqual(expected);
});
