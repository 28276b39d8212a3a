import { RoostError } from "../../errors.ts";
import { type Attempt, attempt, type Run } from "./attempt.ts";
import type { CandidateTable } from "./candidate-table.ts";
import { type Column, missingLike, takeItems, takeNumbers } from "./column.ts";
import type { Fetched, Source } from "./stages.ts";

/** Fetches from every source at once; the answers stand in declaration order. */
export async function runSources<Query>(
  run: Run,
  sources: readonly Source<Query>[],
  query: Query,
): Promise<Attempt<Fetched>[]> {
  return Promise.all(
    sources.map(async (source) => {
      const entry = run.record.run("sources", source.name);
      const fetched = await attempt(
        run,
        "sources",
        source,
        query,
        (signal) => source.fetch(query, signal),
        checkFetched,
      );
      if (fetched.state === "done") entry.rowsOut = fetched.value.postIds.length;
      return fetched;
    }),
  );
}

function checkFetched({ postIds, authorIds, inHand, columns = {} }: Fetched): void {
  const n = postIds.length;
  if (inHand !== undefined && inHand.length !== n)
    throw new RoostError("COLUMN_LENGTH", `${inHand.length} in hand for ${n} posts`);
  if (authorIds.length !== n)
    throw new RoostError("COLUMN_LENGTH", `${authorIds.length} authors for ${n} posts`);
  for (const [name, column] of Object.entries(columns)) {
    if (column.length !== n)
      throw new RoostError("COLUMN_LENGTH", `${name} has ${column.length} values for ${n} posts`);
  }
}

/** The name under which the record counts candidates that another source brought first. */
export const DUPLICATE = "duplicate";

/**
 * One table of all sources' candidates, each post once: the first source in declaration order keeps it.
 * A column that only some sources give is missing in the others' rows.
 */
export function mergeSources<Query>(
  run: Run,
  sources: readonly Source<Query>[],
  fetched: readonly Attempt<Fetched>[],
): CandidateTable {
  const startedAt = run.now();
  const answers = fetched.map((answer) => (answer.state === "done" ? answer.value : EMPTY));
  const total = answers.reduce((sum, answer) => sum + answer.postIds.length, 0);
  const sourceNames = sources.map((source) => source.name);
  logCandidates(run, answers, total, sourceNames);

  const { candidates } = run.record;
  const duplicate = run.record.component("merge", DUPLICATE);
  const keeper = new Map<string, number>();
  const origin = new Int32Array(total);
  let n = 0;
  for (let i = 0; i < total; i++) {
    const id = candidates.postIds[i] as string;
    const first = keeper.get(id);
    if (first === undefined) {
      keeper.set(id, i);
      origin[n++] = i;
    } else {
      run.record.drop(i, duplicate, `kept from ${sourceNames[candidates.source[first] as number]}`);
    }
  }

  const entry = run.record.run("merge", DUPLICATE);
  entry.rowsIn = total;
  entry.rowsOut = n;
  const kept = origin.slice(0, n);
  const table: CandidateTable = {
    n,
    postIds: takeItems(candidates.postIds, kept),
    authorIds: takeItems(candidates.authorIds, kept),
    source: takeNumbers(candidates.source, kept),
    sourceNames,
    origin: kept,
    ...(answers.some(({ inHand }) => inHand) && { inHand: mergeInHand(answers, kept) }),
    columns: mergeColumns(answers, kept),
    matrices: new Map(),
    score: new Float64Array(n).fill(Number.NaN),
  };
  entry.ms += run.now() - startedAt;
  return table;
}

const EMPTY: Fetched = { postIds: [], authorIds: [] };

function logCandidates(
  run: Run,
  answers: readonly Fetched[],
  total: number,
  sourceNames: readonly string[],
): void {
  const { candidates } = run.record;
  candidates.postIds = joined(answers, "postIds");
  candidates.authorIds = joined(answers, "authorIds");
  candidates.sourceNames = sourceNames;
  candidates.droppedBy = new Int16Array(total).fill(-1);
  candidates.source = new Uint8Array(total);
  let at = 0;
  for (const [index, answer] of answers.entries()) {
    candidates.source.fill(index, at, at + answer.postIds.length);
    at += answer.postIds.length;
  }
}

function joined(answers: readonly Fetched[], ids: "postIds" | "authorIds"): string[] {
  const all: string[] = [];
  for (const answer of answers) for (const id of answer[ids]) all.push(id);
  return all;
}

function mergeInHand(answers: readonly Fetched[], kept: Int32Array): unknown[] {
  const all: unknown[] = [];
  for (const { postIds, inHand } of answers)
    for (let i = 0; i < postIds.length; i++) all.push(inHand?.[i]);
  return takeItems(all, kept);
}

/** `kept` holds ascending places in the concatenation of all answers. */
function mergeColumns(answers: readonly Fetched[], kept: Int32Array): Map<string, Column> {
  const merged = new Map<string, Column>();
  let start = 0;
  for (const { postIds, columns = {} } of answers) {
    const end = start + postIds.length;
    for (const [name, column] of Object.entries(columns)) {
      let into = merged.get(name);
      if (into === undefined) {
        into = missingLike(column, kept.length);
        merged.set(name, into);
      }
      if (Array.isArray(into) !== Array.isArray(column))
        throw new TypeError(`sources disagree whether column ${name} holds text or numbers`);
      const target = into as (number | string)[];
      for (let row = 0; row < kept.length; row++) {
        const from = (kept[row] as number) - start;
        if (from >= 0 && from < end - start) target[row] = column[from] as number | string;
      }
    }
    start = end;
  }
  return merged;
}
