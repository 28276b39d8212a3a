import { expect, test } from "vitest";
import { queryOf, verdicts } from "../pipeline/home.fixture.ts";
import { authorRelations } from "./author-relations.ts";

const query = queryOf({
  blockedIds: new Set(["10"]),
  mutedIds: new Set(["20"]),
  blockedByIds: new Set(["30"]),
});

test("every relation of author, reposted and quoted author has its rule", () => {
  const cases = [
    [{ author_id: "1" }, true],
    [{ author_id: "10" }, "author blocked"],
    [{ author_id: "20" }, "author muted"],
    [{ author_id: "30" }, "author blocks the viewer"],
    [{ repost_of_author_id: "10" }, "reposted author blocked"],
    [{ repost_of_author_id: "20" }, "reposted author muted"],
    [{ repost_of_author_id: "30" }, "reposted author blocks the viewer"],
    [{ quote_of_author_id: "10" }, "quoted author blocked"],
    [{ quote_of_author_id: "20" }, true],
    [{ quote_of_author_id: "30" }, "quoted author blocks the viewer"],
    [{ repost_of_author_id: "1", quote_of_author_id: "2" }, true],
  ] as const;
  const posts = cases.map(([fields], i) => ({ post_id: String(i + 1), ...fields }));
  expect(verdicts(authorRelations(), query, posts)).toEqual(cases.map(([, verdict]) => verdict));
});

test("it drops what it cannot check", () => {
  expect(authorRelations().onFailure).toBe("closed");
});
