import { expect, test } from "vitest";
import { compareVersions } from "./version-order.ts";

test("orders the example of the semantic versioning specification", () => {
  const ascending = [
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.1",
    "1.10.0",
    "v2.0.0",
    "100000.0.0",
  ];
  for (const [i, a] of ascending.entries()) {
    for (const [j, b] of ascending.entries()) {
      expect(Math.sign(compareVersions(a, b))).toBe(Math.sign(i - j));
    }
  }
});

test("build metadata and a leading v do not count, and a missing version is 0", () => {
  expect(compareVersions("v1.2.3+a", "1.2.3+b")).toBe(0);
  expect(compareVersions(null, "0")).toBe(0);
  expect(compareVersions("", "0.1")).toBeLessThan(0);
  expect(compareVersions(2, "10")).toBeLessThan(0);
});
