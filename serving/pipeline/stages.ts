import type { CandidateTable, Matrix } from "./candidate-table.ts";
import type { Column } from "./column.ts";
import type { RequestRecord } from "./record.ts";

/**
 * What the runner does when a component throws, is late or returns a wrong shape:
 *
 * | | `open`: skip and report | `closed`: drop what could not be checked | `required` |
 * |---|---|---|---|
 * | query hydrator | the query stays as it was | no candidate can be checked: an empty page | the request fails |
 * | source | its candidates are missing | the same | the request fails |
 * | hydrator | its columns are missing | rows that it did not hydrate are dropped | the request fails |
 * | filter | as if it were not there | rows that it had not passed are dropped | the request fails |
 * | scorer | the score before it stays | rows without a finite result are dropped | the request fails |
 * | selector | rows ordered by score | an empty page | the request fails |
 * | side effect | reported | reported | reported: the request was answered already |
 */
export type FailurePolicy = "open" | "closed" | "required";

/** What every component declares. It holds only its rule: it does not catch, log, time or count. */
export interface Component<Query> {
  /** Unique in its pipeline, snake_case: the name in logs, metrics, explain and `degraded`. */
  readonly name: string;
  /** Longest wait for awaited work; 0 = synchronous, its time is reported but cannot be cut. */
  readonly timeoutMs: number;
  readonly onFailure: FailurePolicy;
  /** Whether it runs for this query. Default: always. */
  enabled?(query: Query): boolean;
}

/** A value, or a promise of it when the component waits for something. */
export type Awaitable<T> = T | Promise<T>;

/** Adds to the query. All run at once on the same query; their fields are merged in declaration order. */
export interface QueryHydrator<Query> extends Component<Query> {
  hydrate(query: Query, signal: AbortSignal): Awaitable<Partial<Query>>;
}

/** Candidates, best first: `postIds[i]` by `authorIds[i]`, and what the source knows about them already. */
export interface Fetched {
  readonly postIds: readonly string[];
  readonly authorIds: readonly string[];
  /** What it has of each in hand, for hydrators that know the kind: see `CandidateTable`. */
  readonly inHand?: readonly unknown[];
  readonly columns?: Readonly<Record<string, Column>>;
}

/** One way to find posts worth scoring. All run at once; the first in declaration order keeps a post that several bring. */
export interface Source<Query> extends Component<Query> {
  fetch(query: Query, signal: AbortSignal): Awaitable<Fetched>;
}

export interface Hydrated {
  readonly columns?: Readonly<Record<string, Column>>;
  readonly matrices?: Readonly<Record<string, Matrix>>;
  /** 1 = this row could not be hydrated (as opposed to: is known to have no value). `closed` drops such rows. */
  readonly failed?: Uint8Array;
}

/** Adds columns. Runs beside its siblings on the same table, so it cannot drop, reorder or see their columns. */
export interface Hydrator<Query> extends Component<Query> {
  hydrate(query: Query, table: CandidateTable, signal: AbortSignal): Awaitable<Hydrated>;
}

/** `true` keeps the row; `false` or the text of a rule drops it, and explain shows that text. */
export type RowTest = (row: number) => true | false | string;

/**
 * Says which rows stay. `keep` is called once a request to bind the columns, its test once a remaining row in row order
 * (in rank order after selection). Must be idempotent: what it kept it keeps when asked again with a fresh test.
 */
export interface Filter<Query> extends Component<Query> {
  keep(query: Query, table: CandidateTable): RowTest;
}

export interface Scored {
  /** Replaces the score. */
  readonly score?: Float64Array;
  /** Multiplies the score; kept as column `multiplier_<name>`. */
  readonly multiplier?: Float64Array;
  /** Columns for later scorers and explain; every value must be finite, as in `score` and `multiplier`. */
  readonly columns?: Readonly<Record<string, Float32Array | Float64Array>>;
}

/** Scores rows. Runs in order, so it reads what earlier scorers wrote. */
export interface Scorer<Query> extends Component<Query> {
  score(query: Query, table: CandidateTable, signal: AbortSignal): Awaitable<Scored>;
}

/** Orders the rows that may be shown, best first; rows that it leaves out are not shown. Synchronous. */
export interface Selector<Query> extends Component<Query> {
  select(query: Query, table: CandidateTable): Int32Array;
}

/** Work for after the answer: its failure is reported, never seen by the caller. */
export interface SideEffect<Query> extends Component<Query> {
  run(query: Query, ranked: Ranked<Query>, signal: AbortSignal): Promise<void>;
}

export interface PageSizes {
  /** Rows that the light score lets through to the heavy scorers. */
  readonly heavyLimit: number;
  /** Rows on the page. */
  readonly limit: number;
  /** Rows that go through the selected stages beyond `limit`, so that a few drops need no refill. */
  readonly reserve: number;
}

/** A product: its components in the order in which they run. */
export interface Pipeline<Query> {
  readonly name: string;
  readonly sizes: (query: Query) => PageSizes;
  readonly queryHydrators: readonly QueryHydrator<Query>[];
  readonly sources: readonly Source<Query>[];
  /** Rules on ids alone, before anything is fetched about a candidate (the runner itself drops duplicates). */
  readonly mergeFilters: readonly Filter<Query>[];
  readonly hydrators: readonly Hydrator<Query>[];
  readonly filters: readonly Filter<Query>[];
  readonly lightHydrators: readonly Hydrator<Query>[];
  readonly lightScorers: readonly Scorer<Query>[];
  readonly heavyHydrators: readonly Hydrator<Query>[];
  readonly heavyScorers: readonly Scorer<Query>[];
  /** Multipliers on the heavy score: diversity, out-of-network factor … */
  readonly adjustingScorers: readonly Scorer<Query>[];
  readonly selector: Selector<Query>;
  /** Run on the selected rows only; what they and the filters below drop is refilled from the rows after. */
  readonly selectedHydrators: readonly Hydrator<Query>[];
  readonly selectedFilters: readonly Filter<Query>[];
  readonly sideEffects: readonly SideEffect<Query>[];
}

/** What a pipeline made of a query. */
export interface Ranked<Query> {
  /** The query with what its hydrators added. */
  readonly query: Query;
  /** Every candidate that reached the heavy scorers. */
  readonly table: CandidateTable;
  /** Rows of `table` that may be shown, best first, as the selector put them. */
  readonly order: Int32Array;
  /** Rows of `table`, best first: the page. */
  readonly page: Int32Array;
  readonly record: RequestRecord;
}
