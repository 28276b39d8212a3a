import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { conformance } from "./conformance.ts";

const file = join(process.env.ROOST_SHARED ?? "../shared", "conformance/growthbook-sdk/cases.json");
const missing = !existsSync(file);
const reason = `needs ${file}`;
const cases = missing ? {} : (JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown[]>);

test.skipIf(missing)(`GrowthBook's published cases pass whole, by section (${reason})`, () => {
  const reports = conformance(cases);
  for (const { section, passed, total } of reports) console.log(`${section} ${passed}/${total}`);
  expect(Object.fromEntries(reports.map(({ section, total }) => [section, total]))).toEqual({
    hash: 15,
    getBucketRange: 13,
    chooseVariation: 13,
    getEqualWeights: 6,
    inNamespace: 16,
    getQueryStringOverride: 16,
    evalCondition: 235,
    run: 73,
    feature: 46,
    stickyBucket: 9,
  });
  expect(reports.flatMap(({ failures }) => failures)).toEqual([]);
  expect(reports.every(({ passed, total }) => passed === total)).toBe(true);
});

test("a wrong answer, a missing key and a number off by 1e-6 are reported as failures", () => {
  const reports = conformance({
    hash: [
      ["seed", "a", 2, 0.0505],
      ["seed", "a", 2, 0.050501],
    ],
    feature: [
      [
        "right",
        {},
        "f",
        { value: null, on: false, off: true, source: "unknownFeature", ruleId: "" },
      ],
      ["extra key", {}, "f", { value: null, on: false, off: true, source: "unknownFeature" }],
    ],
  });
  const bySection = new Map(reports.map((report) => [report.section, report]));
  expect(bySection.get("hash")).toMatchObject({ passed: 1, total: 2 });
  expect(bySection.get("hash")?.failures[0]).toMatchObject({ expected: 0.050501, actual: 0.0505 });
  expect(bySection.get("feature")?.failures.map(({ name }) => name)).toEqual(["extra key"]);
});
