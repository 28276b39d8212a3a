import { expect, test } from "vitest";
import { NOW_MS, queryOf, tableOf } from "../pipeline/home.fixture.ts";
import { contributionColumn, headColumn } from "../pipeline/home-query.ts";
import { aligned, timelineTable } from "./timeline-table.ts";

test("columns are as wide as their widest cell, numbers to the right, words to the left", () => {
  expect(
    aligned([
      ["rank", "author", "score"],
      ["1", "amy", "-0.50000"],
      ["12", "b", "3.00000"],
    ]),
  ).toBe("rank  author  score\n   1  amy     -0.50000\n  12  b        3.00000");
});

test("a page is shown in its order with the three terms that weigh most, whatever their sign", () => {
  const table = tableOf([
    { post_id: "11", author_id: "7", score: 0.25, in_network: 0 },
    { post_id: "22", author_id: "8", score: 0.75, in_network: 1 },
  ]);
  const terms: Record<string, [number, number]> = {
    favorite: [0.01, 0.3],
    reply: [0.02, 0],
    report: [-0.4, -0.002],
    click: [0.5, 0.1],
    share: [0.1, 0.2],
  };
  const columns = new Map(table.columns);
  for (const [head, values] of Object.entries(terms)) {
    columns.set(headColumn("heavy", head), Float64Array.of(0.5, 0.5));
    columns.set(contributionColumn(head), Float64Array.from(values));
  }
  const text = timelineTable({
    table: { ...table, columns },
    page: Int32Array.of(1, 0),
    query: queryOf({ nowMs: NOW_MS }),
  });
  const [head, first, second, ...rest] = text.split("\n");
  expect(rest).toEqual([]);
  expect(head).toMatch(
    /^rank +post +author +source +followed +score +largest head × weight terms$/,
  );
  expect(first).toMatch(
    /^ +1 +22 +8 +\w+ +yes +0\.75000 +favorite 0\.3000 · share 0\.2000 · click 0\.1000$/,
  );
  expect(second).toMatch(
    /^ +2 +11 +7 +\w+ +no +0\.25000 +click 0\.5000 · report -0\.4000 · share 0\.1000$/,
  );
});
