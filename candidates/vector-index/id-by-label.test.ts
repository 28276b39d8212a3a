import { expect, test } from "vitest";
import { IdByLabel } from "./id-by-label.ts";

test("ids come back by label, and blocks are let go when their last id is", () => {
  const ids = new IdByLabel();
  for (let label = 0; label < 10_000; label++) ids.set(label, `id${label}`);
  expect(ids.blocks).toBe(3);
  expect([ids.get(0), ids.get(4096), ids.get(9_999), ids.get(10_000)]).toEqual([
    "id0",
    "id4096",
    "id9999",
    undefined,
  ]);
  for (let label = 0; label < 4095; label++) ids.delete(label);
  expect(ids.blocks).toBe(3);
  expect(ids.get(4094)).toBeUndefined();
  expect(ids.get(4095)).toBe("id4095");
  ids.delete(4095);
  expect(ids.blocks).toBe(2);
  ids.delete(20_000);
  expect(ids.blocks).toBe(2);
});
