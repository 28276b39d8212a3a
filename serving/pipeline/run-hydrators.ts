import { RoostError } from "../../errors.ts";
import { type Attempt, attempt, fail, type Run } from "./attempt.ts";
import type { CandidateTable } from "./candidate-table.ts";
import { takeRows } from "./candidate-table.ts";
import type { Column } from "./column.ts";
import { LazyColumns } from "./lazy-columns.ts";
import type { StageName } from "./record.ts";
import type { Hydrated, Hydrator } from "./stages.ts";

/** Runs all hydrators at once on one table; returns it with their columns and without the rows that `closed` ones drop. */
export async function runHydrators<Query>(
  run: Run,
  stage: StageName,
  hydrators: readonly Hydrator<Query>[],
  query: Query,
  table: CandidateTable,
): Promise<CandidateTable> {
  if (table.n === 0 || hydrators.length === 0) return table;
  const answers = await Promise.all(
    hydrators.map((hydrator) =>
      attempt(
        run,
        stage,
        hydrator,
        query,
        (signal) => hydrator.hydrate(query, table, signal),
        (hydrated) => checkHydrated(hydrated, table.n),
      ),
    ),
  );
  const added: [string, Column][] = [];
  const matrices = new Map(table.matrices);
  for (const answer of answers) {
    if (answer.state !== "done") continue;
    added.push(...Object.entries(answer.value.columns ?? {}));
    for (const [name, matrix] of Object.entries(answer.value.matrices ?? {}))
      matrices.set(name, matrix);
  }
  const hydrated = { ...table, columns: LazyColumns.with(table.columns, added), matrices };
  const rows = dropUnhydrated(run, stage, hydrators, answers, table);
  return rows.length === table.n ? hydrated : takeRows(hydrated, rows);
}

function checkHydrated({ columns = {}, matrices = {}, failed }: Hydrated, n: number): void {
  for (const [name, column] of Object.entries(columns)) {
    if (column.length !== n)
      throw new RoostError("COLUMN_LENGTH", `${name} has ${column.length} values for ${n} rows`);
  }
  for (const [name, { width, values }] of Object.entries(matrices)) {
    if (values.length !== n * width)
      throw new RoostError(
        "COLUMN_LENGTH",
        `${name} has ${values.length} values, not ${n}×${width}`,
      );
  }
  if (failed !== undefined && failed.length !== n)
    throw new RoostError("COLUMN_LENGTH", `failed has ${failed.length} values for ${n} rows`);
}

/** The rule in explain of a candidate that a `closed` component could not check. */
export const UNCHECKED = "could not be checked";

/** The rows that stay, ascending. Each lost row is put down to the first component that could not check it. */
function dropUnhydrated<Query>(
  run: Run,
  stage: StageName,
  hydrators: readonly Hydrator<Query>[],
  answers: readonly Attempt<Hydrated>[],
  table: CandidateTable,
): Int32Array {
  let rows = Int32Array.from({ length: table.n }, (_, row) => row);
  for (const [i, hydrator] of hydrators.entries()) {
    const answer = answers[i] as Attempt<Hydrated>;
    const entry = run.record.run(stage, hydrator.name);
    if (answer.state === "disabled") continue;
    const failed = answer.state === "done" ? answer.value.failed : undefined;
    const failedRows = failed?.reduce((sum, flag) => sum + (flag === 0 ? 0 : 1), 0) ?? 0;
    if (failedRows > 0)
      fail(run, stage, hydrator, new Error(`${failedRows} of ${table.n} rows failed`), failedRows);

    entry.rowsIn += rows.length;
    if (hydrator.onFailure === "closed" && (answer.state === "failed" || failedRows > 0)) {
      const component = run.record.component(stage, hydrator.name);
      const kept: number[] = [];
      for (const row of rows) {
        if (failed !== undefined && failed[row] === 0) kept.push(row);
        else run.record.drop(table.origin[row] as number, component, UNCHECKED);
      }
      rows = Int32Array.from(kept);
    }
    entry.rowsOut += rows.length;
  }
  return rows;
}
