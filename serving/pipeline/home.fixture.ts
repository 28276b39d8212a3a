import { DEFAULT_PARAMS, type Params } from "../params.ts";
import { type EffectiveWeights, effectiveWeights } from "../weights/weights.ts";
import type { CandidateTable } from "./candidate-table.ts";
import type { Column } from "./column.ts";
import { type ColumnName, type HomeQuery, homeQuery } from "./home-query.ts";
import type { Filter } from "./stages.ts";

/** The clock of all home timeline tests. */
export const NOW_MS = Date.UTC(2026, 0, 8, 12);

const weights = (params: Partial<Params>): EffectiveWeights =>
  effectiveWeights({ name: "test", description: "", weights: {}, params, checksum: "" });

/** A query by viewer "7" with these parameters over the defaults. */
export const queryOf = (fields: Partial<HomeQuery> = {}, params: Partial<Params> = {}): HomeQuery =>
  homeQuery({
    requestId: "r1",
    viewerId: "7",
    nowMs: NOW_MS,
    limit: 10,
    weights: weights({ ...DEFAULT_PARAMS, ...params }),
    ...fields,
  });

/** One post of a test table: its columns by name, and its author ("1" unless given). */
export type PostRow = { post_id: string; author_id?: string; score?: number } & {
  [Name in ColumnName]?: string | number;
} & { [column: string]: string | number | undefined };

/** A table of these posts; a column that some of them lack is missing there. */
export function tableOf(posts: readonly PostRow[]): CandidateTable {
  const columns = new Map<string, Column>();
  const names = new Set(posts.flatMap((post) => Object.keys(post)));
  for (const name of names) {
    if (["post_id", "author_id", "score"].includes(name)) continue;
    const values = posts.map((post) => post[name]);
    columns.set(
      name,
      values.some((value) => typeof value === "string")
        ? values.map((value) => String(value ?? ""))
        : Float64Array.from(values, (value) => (value ?? Number.NaN) as number),
    );
  }
  return {
    n: posts.length,
    postIds: posts.map((post) => post.post_id),
    authorIds: posts.map((post) => post.author_id ?? "1"),
    source: new Uint8Array(posts.length),
    sourceNames: ["test"],
    origin: Int32Array.from(posts, (_, i) => i),
    columns,
    matrices: new Map(),
    score: Float64Array.from(posts, (post) => post.score ?? Number.NaN),
  };
}

/** What a filter says of each post, in order. */
export function verdicts(
  filter: Filter<HomeQuery>,
  query: HomeQuery,
  posts: readonly PostRow[],
): (boolean | string)[] {
  const test = filter.keep(query, tableOf(posts));
  return posts.map((_, row) => test(row));
}
