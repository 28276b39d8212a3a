import { expect, test } from "vitest";
import { textAt, textColumn } from "./candidate-table.ts";
import {
  dropping,
  filter,
  hydrator,
  pageOf,
  pipeline,
  run,
  selector,
  source,
} from "./pipeline.fixture.ts";

const thirty = source(
  "main",
  Array.from({ length: 30 }, (_, i) => String(i + 1)),
);

test("rows that are dropped after selection are refilled from those that ranked below", async () => {
  const answer = await run(
    pipeline({
      sources: [thirty],
      selectedFilters: [dropping("hidden", "30", "29", "28", "27", "26", "25", "24", "22")],
    }),
    { sizes: { limit: 4, reserve: 1 } },
  );
  expect(pageOf(answer)).toEqual(["23", "21", "20", "19"]);
});

test("the page is short only when the candidates end", async () => {
  const answer = await run(
    pipeline({
      sources: [thirty],
      selectedFilters: [
        filter(
          "hidden",
          (_query, { postIds }) =>
            (row) =>
              postIds[row] === "1",
        ),
      ],
    }),
    { sizes: { limit: 5, reserve: 2 } },
  );
  expect(pageOf(answer)).toEqual(["1"]);
});

test("only rows that may reach the page are hydrated after selection", async () => {
  const asked: string[][] = [];
  const verdicts = hydrator("verdicts", (_query, { postIds }) => {
    asked.push([...postIds]);
    return { columns: { verdict: postIds.map((id) => (Number(id) > 27 ? "drop" : "show")) } };
  });
  const visible = filter("visible", (_query, table) => {
    const verdict = textColumn(table, "verdict");
    return (row) => textAt(verdict, row) === "show" || `verdict ${textAt(verdict, row)}`;
  });
  const answer = await run(
    pipeline({ sources: [thirty], selectedHydrators: [verdicts], selectedFilters: [visible] }),
    { sizes: { limit: 3, reserve: 1 } },
  );
  expect(asked).toEqual([
    ["30", "29", "28", "27"],
    ["26", "25", "24"],
  ]);
  expect(pageOf(answer)).toEqual(["27", "26", "25"]);
  expect(answer.record.dropped()).toContainEqual({
    post_id: "30",
    source: "main",
    component: "visible",
    rule: "verdict drop",
  });
  expect(answer.record.components.find(({ name }) => name === "visible")).toMatchObject({
    rowsIn: 7,
    rowsOut: 4,
  });
});

test("a filter that keeps one of a kind holds to its choice across refills", async () => {
  const onePerKind = filter("one_per_kind", (_query, { postIds }) => {
    const kinds = new Set<number>();
    return (row) => {
      const kind = Number(postIds[row]) % 5;
      if (kinds.has(kind)) return "another of its kind is above";
      kinds.add(kind);
      return true;
    };
  });
  const answer = await run(
    pipeline({
      sources: [thirty],
      selectedFilters: [dropping("hidden", "30", "28", "26"), onePerKind],
    }),
    { sizes: { limit: 5, reserve: 0 } },
  );
  expect(pageOf(answer)).toEqual(["29", "27", "25", "23", "21"]);
});

test("a selected hydrator that failed is not asked again: open goes on without it, closed stops", async () => {
  for (const [onFailure, expected] of [
    ["open", ["27", "26", "25"]],
    ["closed", []],
  ] as const) {
    let asked = 0;
    const down = hydrator(
      "down",
      () => {
        asked++;
        return Promise.reject(new Error("down"));
      },
      { onFailure },
    );
    const answer = await run(
      pipeline({
        sources: [thirty],
        selectedHydrators: [down],
        selectedFilters: [dropping("hidden", "30", "29", "28")],
      }),
      { sizes: { limit: 3, reserve: 0 } },
    );
    expect(pageOf(answer)).toEqual(expected);
    expect(asked).toBe(1);
  }
});

test("rows that a selector leaves out are not shown and are put down to it", async () => {
  const answer = await run(pipeline({ selector: selector("pick", () => Int32Array.of(2, 0)) }));
  expect(answer.page).toHaveLength(2);
  expect(answer.record.dropped().map(({ component }) => component)).toEqual(
    new Array(4).fill("pick"),
  );
});

test("an empty pool gives an empty page", async () => {
  const answer = await run(pipeline({ sources: [source("none", [])] }));
  expect(pageOf(answer)).toEqual([]);
  expect(answer.record.degraded()).toEqual([]);
});
