import { RoostError } from "../../errors.ts";
import { attempt, fail, type Run } from "./attempt.ts";
import { type CandidateTable, takeRows } from "./candidate-table.ts";
import type { Column } from "./column.ts";
import { LazyColumns } from "./lazy-columns.ts";
import type { StageName } from "./record.ts";
import { UNCHECKED } from "./run-hydrators.ts";
import type { Scored, Scorer } from "./stages.ts";

/**
 * Runs scorers in order, each on the table with what earlier ones wrote.
 * A row without a finite result is reported once, by the scorer where it began: a scorer's row ranks last, an adjusting
 * row keeps its score, and `closed` drops it. A scorer without any finite result has failed.
 */
export async function runScorers<Query>(
  run: Run,
  stage: StageName,
  scorers: readonly Scorer<Query>[],
  query: Query,
  start: CandidateTable,
): Promise<CandidateTable> {
  let table = start;
  let known: Uint8Array = new Uint8Array(table.n);
  for (const scorer of scorers) {
    if (table.n === 0) break;
    const before = table;
    let bad = new Uint8Array(before.n);
    const answer = await attempt(
      run,
      stage,
      scorer,
      query,
      (signal) => scorer.score(query, before, signal),
      (scored) => {
        bad = notFinite(scored, before.n);
        if (bad.every((flag) => flag === 1))
          throw new RoostError("NOT_FINITE", `${scorer.name} has no row with finite values`);
      },
    );
    if (answer.state === "disabled") continue;
    const entry = run.record.run(stage, scorer.name);
    entry.rowsIn += before.n;
    if (answer.state === "done") {
      const fresh = countFresh(bad, known);
      if (fresh > 0) {
        const error = new RoostError("NOT_FINITE", `${fresh} of ${before.n} rows`);
        fail(run, stage, scorer, error, fresh);
      }
      table = withScores(scorer.name, before, answer.value, bad);
    } else {
      bad.fill(1);
    }
    if (scorer.onFailure === "closed" && bad.includes(1)) {
      const rows = keepFinite(run, run.record.component(stage, scorer.name), before, bad);
      table = takeRows(table, rows);
      known = known.filter((_, row) => bad[row] === 0);
    } else if (answer.state === "done") {
      known = known.map((flag, row) => flag | (bad[row] as number));
    }
    entry.rowsOut += table.n;
  }
  return table;
}

/** 1 for each row in which anything that the scorer gave is NaN or infinite. @throws COLUMN_LENGTH */
function notFinite(
  { score, multiplier, columns = {} }: Scored,
  n: number,
): Uint8Array<ArrayBuffer> {
  const bad = new Uint8Array(n);
  const check = (name: string, values: Float32Array | Float64Array): void => {
    if (values.length !== n)
      throw new RoostError("COLUMN_LENGTH", `${name} has ${values.length} values for ${n} rows`);
    for (let row = 0; row < n; row++) if (!Number.isFinite(values[row])) bad[row] = 1;
  };
  if (score) check("score", score);
  if (multiplier) check("multiplier", multiplier);
  for (const name in columns) check(name, columns[name] as Float32Array | Float64Array);
  return bad;
}

function countFresh(bad: Uint8Array, known: Uint8Array): number {
  let fresh = 0;
  for (let row = 0; row < bad.length; row++) if (bad[row] === 1 && known[row] === 0) fresh++;
  return fresh;
}

function keepFinite(
  run: Run,
  component: number,
  table: CandidateTable,
  bad: Uint8Array,
): Int32Array {
  const rows: number[] = [];
  for (let row = 0; row < table.n; row++) {
    if (bad[row] === 0) rows.push(row);
    else run.record.drop(table.origin[row] as number, component, UNCHECKED);
  }
  return Int32Array.from(rows);
}

function withScores(
  name: string,
  table: CandidateTable,
  { score: replaced, multiplier, columns = {} }: Scored,
  bad: Uint8Array,
): CandidateTable {
  const written: [string, Column][] = Object.entries(columns);
  let score = table.score;
  if (replaced) score = replaced;
  if (multiplier) {
    const factors = new Float64Array(table.n);
    const scaled = new Float64Array(table.n);
    for (let row = 0; row < table.n; row++) {
      factors[row] = bad[row] === 1 ? 1 : (multiplier[row] as number);
      scaled[row] = (score[row] as number) * (factors[row] as number);
    }
    score = scaled;
    written.push([`multiplier_${name}`, factors]);
  }
  return { ...table, columns: LazyColumns.with(table.columns, written), score };
}
