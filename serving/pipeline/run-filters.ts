import { attempt, type Run } from "./attempt.ts";
import type { CandidateTable } from "./candidate-table.ts";
import type { StageName } from "./record.ts";
import { UNCHECKED } from "./run-hydrators.ts";
import type { Filter } from "./stages.ts";

/**
 * Runs filters in order, each over the rows that the one before kept; the table itself is compacted by the caller, once.
 * `rows` keeps its order. The first `counted` rows passed in an earlier round: they are tested again but not counted again.
 */
export async function runFilters<Query>(
  run: Run,
  stage: StageName,
  filters: readonly Filter<Query>[],
  query: Query,
  table: CandidateTable,
  rows: Int32Array,
  counted = 0,
): Promise<Int32Array> {
  let remaining = rows;
  for (const filter of filters) {
    const entry = run.record.run(stage, filter.name);
    const component = run.record.component(stage, filter.name);
    const before = remaining;
    const kept = new Int32Array(before.length);
    let tested = 0;
    let n = 0;
    const answer = await attempt(run, stage, filter, query, () => {
      const test = filter.keep(query, table);
      for (; tested < before.length; tested++) {
        const row = before[tested] as number;
        const verdict = test(row);
        if (verdict === true) kept[n++] = row;
        else
          run.record.drop(
            table.origin[row] as number,
            component,
            verdict === false ? undefined : verdict,
          );
      }
    });
    if (answer.state === "disabled") continue;
    if (answer.state === "done") {
      remaining = kept.subarray(0, n);
    } else if (filter.onFailure === "closed") {
      for (; tested < before.length; tested++)
        run.record.drop(table.origin[before[tested] as number] as number, component, UNCHECKED);
      remaining = kept.subarray(0, n);
    } else {
      for (const row of before) run.record.restore(table.origin[row] as number);
    }
    entry.rowsIn += before.length - counted;
    entry.rowsOut += remaining.length - counted;
  }
  return remaining;
}
