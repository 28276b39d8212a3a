import { beforeAll, expect, test } from "vitest";
import { formatTargets, isMet, type TargetRow } from "./target-row.ts";
import { measureTargets } from "./targets.ts";
import { openWorld } from "./world.ts";

let rows: TargetRow[];
beforeAll(() => {
  rows = measureTargets(openWorld("tiny", 1));
});
const row = (name: string): TargetRow => {
  const found = rows.find((candidate) => candidate.name === name);
  if (!found) throw new Error(`no row "${name}"`);
  return found;
};

test("every asked property is measured, as a number, under a name of its own", () => {
  expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length);
  expect(rows.filter(({ value }) => Number.isNaN(value))).toEqual([]);
  expect(rows.filter(({ min, max }) => min !== undefined || max !== undefined).length).toBe(47);
});

test("what does not depend on size is met even by the tiny world", () => {
  for (const name of [
    "randomised share",
    "impressions with slot propensity",
    "topic labels wrong or missing",
    "rate click",
    "rate favorite",
    "oracle AUC click",
    "oracle AUC favorite",
    "evening ÷ night, flattest zone",
  ])
    expect.soft(isMet(row(name)), `${name}: ${row(name).value}`).toBe(true);
});

test("no simple rule and no visible ranking gains more than the oracle", () => {
  for (const name of ["visible ceiling", "popularity", "click head alone"])
    expect(row(name).value).toBeLessThan(1);
  expect(row("visible ceiling").value).toBeGreaterThan(row("popularity").value);
});

test("the table shows measured beside asked and marks what is missed", () => {
  const text = formatTargets([
    { name: "share", value: 0.123, min: 0.1, max: 0.2, format: "percent" },
    { name: "missed", value: 3, max: 2, format: "number", note: "why" },
    { name: "told", value: 0.00004, format: "percent" },
  ]);
  expect(text.split("\n").map((line) => line.replace(/ +/g, " "))).toEqual([
    "ok share 12.3 % 10.0 % … 20.0 %",
    "✗ missed 3.00 ≤ 2.00 why",
    " told 0.0040 %",
  ]);
});
