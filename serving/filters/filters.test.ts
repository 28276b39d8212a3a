import { readdir, readFile } from "node:fs/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { NOW_MS, type PostRow, queryOf, tableOf, verdicts } from "../pipeline/home.fixture.ts";
import { COLUMNS, type HomeQuery } from "../pipeline/home-query.ts";
import type { Filter } from "../pipeline/stages.ts";
import { age } from "./age.ts";
import { authorRelations } from "./author-relations.ts";
import { conversationDedup } from "./conversation-dedup.ts";
import { missingCore } from "./missing-core.ts";
import { mutedKeyword } from "./muted-keyword.ts";
import { outOfNetworkReplies } from "./out-of-network-replies.ts";
import { previouslySeen } from "./previously-seen.ts";
import { previouslyServed } from "./previously-served.ts";
import { repostDedup } from "./repost-dedup.ts";
import { self } from "./self.ts";
import { visibility } from "./visibility.ts";

/** Filters whose verdict on a row depends on that row alone. */
const ROWWISE = [
  missingCore,
  age,
  self,
  previouslySeen,
  previouslyServed,
  mutedKeyword,
  authorRelations,
  outOfNetworkReplies,
  visibility,
];
/** Filters that keep the first of a kind. */
const FIRST_WINS = [repostDedup, conversationDedup];

const id = fc.nat(12).map(String);
const flag = fc.constantFrom(0, 1, Number.NaN);
const posts: fc.Arbitrary<PostRow[]> = fc.uniqueArray(
  fc.record({
    post_id: id,
    author_id: id,
    created_at_ms: fc.constantFrom(NOW_MS, NOW_MS - 1e9, NOW_MS + 1e6, Number.NaN),
    in_network: flag,
    text: fc.constantFrom("", "red car", "a red car", "#car"),
    in_reply_to_post_id: fc.oneof(fc.constant(""), id),
    conversation_id: fc.oneof(fc.constant(""), id),
    repost_of_post_id: fc.oneof(fc.constant(""), id),
    repost_of_author_id: fc.oneof(fc.constant(""), id),
    quote_of_author_id: fc.oneof(fc.constant(""), id),
    deleted: flag,
    safety_labels: fc.constantFrom("", "spam", "abusive", "spam\nabusive"),
  }),
  { selector: (post) => post.post_id, maxLength: 12 },
);
const query = queryOf({
  viewerId: "3",
  seenIds: new Set(["1", "5"]),
  servedIds: new Set(["2", "6"]),
  blockedIds: new Set(["4"]),
  mutedIds: new Set(["8"]),
  blockedByIds: new Set(["9"]),
  mutedKeywords: ["red car"],
});
const kept = (filter: Filter<HomeQuery>, rows: readonly PostRow[]): PostRow[] => {
  const said = verdicts(filter, query, rows);
  return rows.filter((_, i) => said[i] === true);
};

test("what a filter kept it keeps when asked again", () => {
  for (const make of [...ROWWISE, ...FIRST_WINS]) {
    fc.assert(
      fc.property(posts, (rows) => {
        const once = kept(make(), rows);
        expect(kept(make(), once)).toEqual(once);
      }),
      { numRuns: 100 },
    );
  }
});

test("the order of the rows does not change a verdict, except where the first of a kind is kept", () => {
  for (const make of ROWWISE) {
    fc.assert(
      fc.property(posts, (rows) => {
        const backwards = [...rows].reverse();
        expect(kept(make(), backwards).reverse()).toEqual(kept(make(), rows));
      }),
      { numRuns: 50 },
    );
  }
});

test("without any hydrated column no filter throws", () => {
  for (const make of [...ROWWISE, ...FIRST_WINS]) {
    const keep = make().keep(query, tableOf([{ post_id: "11" }]));
    expect(["boolean", "string"]).toContain(typeof keep(0));
  }
});

test("every column that a filter or scorer reads is documented in home-query.ts", async () => {
  const read = new Set<string>();
  for (const folder of [".", "../scorers"]) {
    const directory = new URL(`${folder}/`, import.meta.url);
    for (const file of await readdir(directory)) {
      if (!/^[a-z-]+\.ts$/.test(file)) continue;
      const code = await readFile(new URL(file, directory), "utf8");
      for (const [, name] of code.matchAll(/(?:number|text)Column\(\s*table,\s*"([a-z_]+)"/g))
        read.add(name as string);
    }
  }
  expect(read.size).toBeGreaterThan(8);
  for (const name of read) expect(Object.keys(COLUMNS)).toContain(name);
});
