import keySlot from "cluster-key-slot";
import fc from "fast-check";
import { expect, test } from "vitest";
import { FeatureKeys } from "./feature-keys.ts";

test("every key has a name of its own that says it again", () => {
  const keys = new FeatureKeys("p:");
  const names = new Map<string, string>();
  const unit = fc.oneof(
    fc.integer({ min: 0, max: 0xffff }),
    fc.constantFrom(0x5c, 0xd800, 0xdc00, 0x64, 0x38, 0x30),
  );
  const any = fc.array(unit, { maxLength: 12 }).map((codes) => String.fromCharCode(...codes));
  fc.assert(
    fc.property(any, (key) => {
      const name = Buffer.from(keys.of("surface", key)).toString();
      expect(keys.keyOf("surface", name)).toBe(key);
      expect(names.get(name) ?? key).toBe(key);
      names.set(name, key);
    }),
    { numRuns: 2_000 },
  );
});

test("keys share 32 slots, which lie evenly, and fall into all of them alike", () => {
  const keys = new FeatureKeys("p:");
  const perSlot = new Map<number, number>();
  for (let id = 0; id < 3_200; id++)
    for (const key of [String(1_000_000 + id), `${id}|77`]) {
      const slot = keySlot(keys.of("user_author", key));
      perSlot.set(slot, (perSlot.get(slot) ?? 0) + 1);
    }
  expect([...perSlot.keys()].sort((a, b) => a - b).map((slot) => slot >> 9)).toEqual(
    Array.from({ length: 32 }, (_, i) => i),
  );
  // 200 on average; by chance alone six standard deviations are 85.
  for (const [slot, n] of perSlot) expect(Math.abs(n - 200), String(slot)).toBeLessThan(85);
});
