import { setMaxListeners } from "node:events";
import { RoostError } from "../../errors.ts";
import { attempt, type Run } from "./attempt.ts";
import { type CandidateTable, takeRows } from "./candidate-table.ts";
import { RequestRecord, type StageName } from "./record.ts";
import { runFilters } from "./run-filters.ts";
import { runHydrators } from "./run-hydrators.ts";
import { runScorers } from "./run-scorers.ts";
import { runSelection } from "./run-selection.ts";
import { mergeSources, runSources } from "./run-sources.ts";
import type { Filter, Pipeline, Ranked, SideEffect } from "./stages.ts";
import { topRows } from "./top-rows.ts";

export interface RunOptions {
  /** Aborted by a caller that gives up: the run stops and rejects with the signal's reason. */
  readonly signal: AbortSignal;
  /** A monotonic clock in milliseconds, such as `() => performance.now()`. */
  readonly now: () => number;
  /** On that clock. After it no awaited work is started or waited for. Default: none. */
  readonly deadlineAt?: number;
  /** Filled as the run goes, so that a caller whose run rejects can still log it. Default: a new one. */
  readonly record?: RequestRecord;
}

export interface Answer<Query> extends Ranked<Query> {
  /** Runs the side effects: call it once the answer is sent. Never rejects; failures are in the record. */
  afterAnswer(): Promise<void>;
}

/** The name under which the record counts candidates below the best `heavyLimit` by light score. */
export const LIGHT_CUT = "light_cut";

/**
 * Runs the stages of `pipeline` for `query`, in the order in which `Pipeline` lists them.
 * @throws the signal's reason when it aborts; COMPONENT_FAILED, COMPONENT_TIMEOUT, COLUMN_LENGTH or NOT_FINITE when a
 * `required` component fails; DEADLINE_EXCEEDED when the deadline left nothing to make a page of.
 */
export async function runPipeline<Query>(
  pipeline: Pipeline<Query>,
  query: Query,
  options: RunOptions,
): Promise<Answer<Query>> {
  const { now, record = new RequestRecord() } = options;
  const stop = new AbortController();
  // One listener for each component that is waited for: more than ten is no leak here.
  setMaxListeners(0, stop.signal);
  const onAbort = (): void => stop.abort(options.signal.reason);
  if (options.signal.aborted) onAbort();
  options.signal.addEventListener("abort", onAbort, { once: true });
  const run: Run = {
    signal: stop.signal,
    now,
    deadlineAt: options.deadlineAt ?? Number.POSITIVE_INFINITY,
    record,
  };
  const startedAt = now();
  try {
    const ranked = await rank(run, pipeline, query);
    return {
      ...ranked,
      afterAnswer: once(() => runSideEffects(run, pipeline.sideEffects, ranked)),
    };
  } catch (error) {
    // Whatever is still under way beside the failed component is of no use any more.
    stop.abort(error);
    throw error;
  } finally {
    record.totalMs = now() - startedAt;
    options.signal.removeEventListener("abort", onAbort);
  }
}

async function rank<Query>(
  run: Run,
  pipeline: Pipeline<Query>,
  asked: Query,
): Promise<Ranked<Query>> {
  const { record } = run;
  const { query, checkable } = await timed(run, "query_hydrators", () =>
    hydrateQuery(run, pipeline, asked),
  );
  const sizes = pipeline.sizes(query);
  const sources = checkable ? pipeline.sources : [];

  const fetched = await timed(run, "sources", () => runSources(run, sources, query));
  let table = await timed(run, "merge", () =>
    narrowed(run, "merge", pipeline.mergeFilters, query, mergeSources(run, sources, fetched)),
  );
  table = await timed(run, "hydrators", () =>
    runHydrators(run, "hydrators", pipeline.hydrators, query, table),
  );
  table = await timed(run, "filters", () =>
    narrowed(run, "filters", pipeline.filters, query, table),
  );
  table = await timed(run, "light_hydrators", () =>
    runHydrators(run, "light_hydrators", pipeline.lightHydrators, query, table),
  );
  table = await timed(run, "light_scorers", () =>
    runScorers(run, "light_scorers", pipeline.lightScorers, query, table),
  );
  table = await timed(run, "light_cut", async () => keepBest(run, table, sizes.heavyLimit));
  table = await timed(run, "heavy_hydrators", () =>
    runHydrators(run, "heavy_hydrators", pipeline.heavyHydrators, query, table),
  );
  table = await timed(run, "heavy_scorers", () =>
    runScorers(run, "heavy_scorers", pipeline.heavyScorers, query, table),
  );
  table = await timed(run, "adjusting_scorers", () =>
    runScorers(run, "adjusting_scorers", pipeline.adjustingScorers, query, table),
  );
  const selected = await timed(run, "selection", () =>
    runSelection(run, pipeline, query, table, sizes),
  );

  if (selected.page.length === 0 && record.failures.some((failure) => failure.kind === "deadline"))
    throw new RoostError("DEADLINE_EXCEEDED", `${pipeline.name} had no candidate to show by then`);
  return { query, ...selected, record };
}

async function timed<T>(run: Run, stage: StageName, work: () => Promise<T>): Promise<T> {
  run.signal.throwIfAborted();
  const startedAt = run.now();
  try {
    return await work();
  } finally {
    run.record.stageMs[stage] = run.now() - startedAt;
  }
}

/** `checkable` is false when a `closed` hydrator failed: no candidate could be checked against what it would have given. */
async function hydrateQuery<Query>(
  run: Run,
  pipeline: Pipeline<Query>,
  asked: Query,
): Promise<{ query: Query; checkable: boolean }> {
  const answers = await Promise.all(
    pipeline.queryHydrators.map((hydrator) =>
      attempt(run, "query_hydrators", hydrator, asked, (signal) => hydrator.hydrate(asked, signal)),
    ),
  );
  let query = asked;
  let checkable = true;
  for (const [i, answer] of answers.entries()) {
    if (answer.state === "done") query = { ...query, ...answer.value };
    else if (answer.state === "failed" && pipeline.queryHydrators[i]?.onFailure === "closed")
      checkable = false;
  }
  return { query, checkable };
}

async function narrowed<Query>(
  run: Run,
  stage: StageName,
  filters: readonly Filter<Query>[],
  query: Query,
  table: CandidateTable,
): Promise<CandidateTable> {
  const all = Int32Array.from({ length: table.n }, (_, row) => row);
  const rows = await runFilters(run, stage, filters, query, table, all);
  return rows.length === table.n ? table : takeRows(table, rows);
}

function keepBest(run: Run, table: CandidateTable, limit: number): CandidateTable {
  const component = run.record.component(
    "light_cut",
    LIGHT_CUT,
    `below the best ${limit} by light score`,
  );
  const entry = run.record.run("light_cut", LIGHT_CUT);
  entry.rowsIn = table.n;
  entry.rowsOut = Math.min(table.n, limit);
  if (table.n <= limit) return table;
  const rows = topRows(table.score, table.postIds, limit);
  const kept = new Uint8Array(table.n);
  for (const row of rows) kept[row] = 1;
  for (let row = 0; row < table.n; row++)
    if (kept[row] === 0) run.record.drop(table.origin[row] as number, component);
  return takeRows(table, rows);
}

async function runSideEffects<Query>(
  run: Run,
  effects: readonly SideEffect<Query>[],
  ranked: Ranked<Query>,
): Promise<void> {
  // The caller may be gone and the deadline past: neither concerns work after the answer.
  const { signal } = new AbortController();
  setMaxListeners(0, signal);
  const after: Run = { ...run, signal, deadlineAt: Number.POSITIVE_INFINITY };
  await timed(after, "side_effects", () =>
    Promise.all(
      effects.map((effect) =>
        attempt(after, "side_effects", effect, ranked.query, (signal) =>
          effect.run(ranked.query, ranked, signal),
        ),
      ),
    ),
  );
}

function once(work: () => Promise<void>): () => Promise<void> {
  let started: Promise<void> | undefined;
  return () => {
    started ??= work();
    return started;
  };
}
