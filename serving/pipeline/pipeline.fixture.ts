import { definePipeline } from "./define-pipeline.ts";
import { RequestRecord } from "./record.ts";
import { type Answer, type RunOptions, runPipeline } from "./run-pipeline.ts";
import type {
  Component,
  Fetched,
  Filter,
  Hydrated,
  Hydrator,
  PageSizes,
  Pipeline,
  QueryHydrator,
  Scored,
  Scorer,
  Selector,
  SideEffect,
  Source,
} from "./stages.ts";
import { topRows } from "./top-rows.ts";

export interface TestQuery {
  readonly sizes?: Partial<PageSizes>;
  readonly note?: string;
}

type Options = Partial<Pick<Component<TestQuery>, "timeoutMs" | "onFailure">> & {
  enabled?: (query: TestQuery) => boolean;
};
const declared = (name: string, options: Options, timeoutMs: number) => ({
  name,
  timeoutMs,
  onFailure: "open" as const,
  ...options,
});

export const source = (
  name: string,
  fetch: Source<TestQuery>["fetch"] | readonly string[],
  options: Options = {},
): Source<TestQuery> => ({
  ...declared(name, options, 1000),
  fetch: typeof fetch === "function" ? fetch : () => postsOf(fetch),
});

/** Posts whose author is the post's id with an `a` in front. */
export const postsOf = (postIds: readonly string[]): Fetched => ({
  postIds,
  authorIds: postIds.map((id) => `a${id}`),
});

export const queryHydrator = (
  name: string,
  hydrate: QueryHydrator<TestQuery>["hydrate"],
  options: Options = {},
): QueryHydrator<TestQuery> => ({ ...declared(name, options, 1000), hydrate });

export const hydrator = (
  name: string,
  hydrate: Hydrator<TestQuery>["hydrate"],
  options: Options = {},
): Hydrator<TestQuery> => ({ ...declared(name, options, 1000), hydrate });

export const filter = (
  name: string,
  keep: Filter<TestQuery>["keep"],
  options: Options = {},
): Filter<TestQuery> => ({ ...declared(name, options, 0), keep });

/** Drops these posts by the rule "listed". */
export const dropping = (name: string, ...postIds: string[]): Filter<TestQuery> =>
  filter(
    name,
    (_query, table) => (row) => (postIds.includes(table.postIds[row] as string) ? "listed" : true),
  );

export const scorer = (
  name: string,
  score: Scorer<TestQuery>["score"],
  options: Options = {},
): Scorer<TestQuery> => ({ ...declared(name, options, 1000), score });

/** Scores each post by its id as a number, times `sign`; synchronous. */
export const byId = (name: string, sign = 1): Scorer<TestQuery> =>
  scorer(
    name,
    (_query, { postIds }) => ({ score: Float64Array.from(postIds, (id) => sign * Number(id)) }),
    { timeoutMs: 0 },
  );

export const selector = (
  name: string,
  select: Selector<TestQuery>["select"],
  options: Options = {},
): Selector<TestQuery> => ({ ...declared(name, options, 0), select });

export const sideEffect = (
  name: string,
  run: SideEffect<TestQuery>["run"],
  options: Options = {},
): SideEffect<TestQuery> => ({ ...declared(name, options, 1000), run });

export const pipeline = (overrides: Partial<Pipeline<TestQuery>> = {}): Pipeline<TestQuery> =>
  definePipeline({
    name: "test",
    sizes: (query) => ({ heavyLimit: 100, limit: 3, reserve: 1, ...query.sizes }),
    queryHydrators: [],
    sources: [source("main", ["1", "2", "3", "4", "5", "6"])],
    mergeFilters: [],
    hydrators: [],
    filters: [],
    lightHydrators: [],
    lightScorers: [],
    heavyHydrators: [],
    heavyScorers: [byId("heavy")],
    adjustingScorers: [],
    selector: selector("by_score", (_query, table) => topRows(table.score, table.postIds, table.n)),
    selectedHydrators: [],
    selectedFilters: [],
    sideEffects: [],
    ...overrides,
  });

export const run = (
  tested: Pipeline<TestQuery>,
  query: TestQuery = {},
  options: Partial<RunOptions> = {},
): Promise<Answer<TestQuery>> =>
  runPipeline(tested, query, {
    signal: new AbortController().signal,
    now: () => performance.now(),
    record: new RequestRecord(),
    ...options,
  });

/** The post ids on the page, best first. */
export const pageOf = ({ page, table }: Answer<TestQuery>): string[] =>
  Array.from(page, (row) => table.postIds[row] as string);

export const never = <T = Hydrated & Scored & Fetched>(): Promise<T> => new Promise<T>(() => {});
