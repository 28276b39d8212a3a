import { numberColumn } from "../pipeline/candidate-table.ts";
import type { HomeQuery } from "../pipeline/home-query.ts";
import type { Answer } from "../pipeline/run-pipeline.ts";
import { explainRow } from "../scorers/explain-row.ts";

/** Terms shown of each score. */
const TERMS = 3;

/** A ranked page as text: rank, post, author, source, score and the three largest head × weight terms. */
export function timelineTable({
  table,
  page,
  query,
}: Pick<Answer<HomeQuery>, "table" | "page" | "query">): string {
  const inNetwork = numberColumn(table, "in_network");
  const lines = Array.from(page, (row, i) => {
    const { heads } = explainRow(table, row, query.weights);
    const terms = heads
      .filter(({ contribution }) => contribution !== 0)
      .sort((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution))
      .slice(0, TERMS)
      .map(({ head, contribution }) => `${head} ${contribution.toFixed(4)}`);
    return [
      String(i + 1),
      table.postIds[row] as string,
      table.authorIds[row] as string,
      table.sourceNames[table.source[row] as number] as string,
      inNetwork?.[row] === 1 ? "yes" : "no",
      (table.score[row] as number).toFixed(5),
      terms.join(" · "),
    ];
  });
  return aligned([
    ["rank", "post", "author", "source", "followed", "score", "largest head × weight terms"],
    ...lines,
  ]);
}

/** Rows of cells in columns of equal width; numbers to the right. */
export function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, c) => Math.max(...rows.map((row) => row[c]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, c) => {
          const width = widths[c] as number;
          return /^[-\d.]+$/.test(cell) ? cell.padStart(width) : cell.padEnd(width);
        })
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
