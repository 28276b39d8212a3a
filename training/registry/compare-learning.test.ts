import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { simulate } from "../../datasets/commands/simulate.ts";
import { readManifest } from "../../datasets/dataset.ts";
import { compareLearning } from "./compare-learning.ts";

const data = mkdtempSync(join(tmpdir(), "roost-learning-"));
const DAY_MS = 86_400_000;

beforeAll(() => simulate({ preset: "tiny", seed: 5, outDir: data }));
afterAll(() => rmSync(data, { recursive: true }));

test("three learners are judged on a day that none has seen, warm start goes on by itself, nothing is published", async () => {
  const { from_ms } = readManifest(data);
  const report = await compareLearning({
    data,
    kind: "light",
    sinceMs: from_ms + DAY_MS,
    seed: 1,
    threads: 1,
    rounds: 20,
  });
  const click = report.heads.find(({ head }) => head === "click");
  expect(click?.days.map((day) => day.from_ms)).toEqual([from_ms + 2 * DAY_MS]);
  const auc = click?.overall.auc;
  for (const figure of [auc?.frozen, auc?.warm, auc?.retrained])
    expect(figure?.value).toBeGreaterThan(0.5);
  // Three models, not one three times.
  expect(new Set([auc?.frozen.value, auc?.warm.value, auc?.retrained.value]).size).toBe(3);
  expect(report.conclusion).toMatch(/warm start (wins|does not win) over frozen/);
  expect(existsSync(join(data, "models"))).toBe(false);
});
