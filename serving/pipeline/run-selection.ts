import { RoostError } from "../../errors.ts";
import { attempt, type Run } from "./attempt.ts";
import { type CandidateTable, takeRows } from "./candidate-table.ts";
import { type Column, missingLike } from "./column.ts";
import { LazyColumns } from "./lazy-columns.ts";
import { runFilters } from "./run-filters.ts";
import { runHydrators } from "./run-hydrators.ts";
import type { Hydrator, PageSizes, Pipeline, Selector } from "./stages.ts";
import { topRows } from "./top-rows.ts";

/** The name under which the record counts candidates that simply ranked below the page. */
export const BELOW_PAGE = "below_page";

/**
 * Orders the rows, takes `limit + reserve`, lets the selected stages drop some, takes more rows for those that are lost
 * until the page is full or the rows end, and cuts it to `limit`.
 */
export async function runSelection<Query>(
  run: Run,
  pipeline: Pipeline<Query>,
  query: Query,
  start: CandidateTable,
  { limit, reserve }: PageSizes,
): Promise<{ table: CandidateTable; order: Int32Array; page: Int32Array }> {
  const order = await orderRows(run, pipeline.selector, query, start);
  let table = start;
  let kept = new Int32Array(0);
  let next = 0;
  let hydrators = pipeline.selectedHydrators;
  while (kept.length < limit && next < order.length) {
    const window = order.subarray(next, next + limit - kept.length + reserve);
    next += window.length;
    const failuresBefore = run.record.failures.length;
    const hydrated = await hydrateWindow(run, hydrators, query, table, window);
    table = hydrated.table;
    const rows = new Int32Array(kept.length + hydrated.rows.length);
    rows.set(kept);
    rows.set(hydrated.rows, kept.length);
    kept = Int32Array.from(
      await runFilters(run, "selection", pipeline.selectedFilters, query, table, rows, kept.length),
    );
    // Asking a failing dependency again for every refill would multiply its timeout.
    const broken = new Set(
      run.record.failures
        .slice(failuresBefore)
        .filter((failure) => failure.rows === undefined)
        .map((failure) => failure.component),
    );
    if (hydrators.some(({ name, onFailure }) => onFailure === "closed" && broken.has(name))) break;
    hydrators = hydrators.filter(({ name }) => !broken.has(name));
  }
  const page = kept.subarray(0, limit);
  countBelow(run, start, page);
  return { table, order, page };
}

async function orderRows<Query>(
  run: Run,
  selector: Selector<Query>,
  query: Query,
  table: CandidateTable,
): Promise<Int32Array> {
  const answer = await attempt(
    run,
    "selection",
    selector,
    query,
    () => selector.select(query, table),
    (rows) => checkOrder(rows, table.n),
  );
  const entry = run.record.run("selection", selector.name);
  entry.rowsIn = table.n;
  const failedClosed = answer.state === "failed" && selector.onFailure === "closed";
  const order =
    answer.state === "done"
      ? answer.value
      : failedClosed
        ? new Int32Array(0)
        : topRows(table.score, table.postIds, table.n);
  entry.rowsOut = order.length;
  if (order.length < table.n) {
    const component = run.record.component("selection", selector.name);
    const chosen = new Uint8Array(table.n);
    for (const row of order) chosen[row] = 1;
    for (let row = 0; row < table.n; row++)
      if (chosen[row] === 0) run.record.drop(table.origin[row] as number, component);
  }
  return order;
}

/** @throws COLUMN_LENGTH unless `rows` are different rows of the table. */
function checkOrder(rows: Int32Array, n: number): void {
  const seen = new Uint8Array(n);
  for (const row of rows) {
    if (row < 0 || row >= n || seen[row] === 1)
      throw new RoostError("COLUMN_LENGTH", `row ${row} is selected twice or is not one of ${n}`);
    seen[row] = 1;
  }
}

/** Hydrates the window's rows and writes what came into a copy of the whole table, missing elsewhere. */
async function hydrateWindow<Query>(
  run: Run,
  hydrators: readonly Hydrator<Query>[],
  query: Query,
  table: CandidateTable,
  window: Int32Array,
): Promise<{ table: CandidateTable; rows: Int32Array }> {
  if (hydrators.length === 0) return { table, rows: window };
  const part = takeRows(table, window);
  const hydrated = await runHydrators(run, "selection", hydrators, query, part);
  const rowOfOrigin = new Map<number, number>();
  for (const row of window) rowOfOrigin.set(table.origin[row] as number, row);
  const rows = hydrated.origin.map((origin) => rowOfOrigin.get(origin) as number);

  const added = LazyColumns.changed(part.columns, hydrated.columns).map(
    (name): [string, Column] => {
      const column = hydrated.columns.get(name) as Column;
      const whole = (table.columns.get(name)?.slice() ?? missingLike(column, table.n)) as Column;
      const target = whole as (number | string)[];
      for (let i = 0; i < rows.length; i++)
        target[rows[i] as number] = column[i] as number | string;
      return [name, whole];
    },
  );
  return { table: { ...table, columns: LazyColumns.with(table.columns, added) }, rows };
}

/** What was ordered but is neither on the page nor dropped by a rule ranked too low for it. */
function countBelow(run: Run, table: CandidateTable, page: Int32Array): void {
  const component = run.record.component("selection", BELOW_PAGE, "ranked below the page");
  const entry = run.record.run("selection", BELOW_PAGE);
  const onPage = new Uint8Array(table.n);
  for (const row of page) onPage[row] = 1;
  entry.rowsOut = page.length;
  entry.rowsIn = page.length;
  for (let row = 0; row < table.n; row++) {
    const origin = table.origin[row] as number;
    if (onPage[row] === 1 || run.record.candidates.droppedBy[origin] !== -1) continue;
    run.record.drop(origin, component);
    entry.rowsIn++;
  }
}
