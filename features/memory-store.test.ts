import { describe, expect, test } from "vitest";
import { MemoryFeatureStore, MemoryState } from "./memory-store.ts";
import { SLOTS } from "./registry.ts";
import { storeContract } from "./store.contract.ts";

describe("the memory store", () => storeContract(async () => new MemoryFeatureStore()));

test("the memory store continues from a state and a position that it is given", async () => {
  const state = new MemoryState();
  state.edit("user", "1").fill(3);
  const store = new MemoryFeatureStore(state, 17);
  expect(store.position).toBe(17);
  expect(store.get("user", "1")?.[0]).toBe(3);
});

test("the state in memory lists every vector that it holds", () => {
  const state = new MemoryState();
  state.edit("user", "1");
  state.set("post", "2", new Float64Array(SLOTS.post).fill(1));
  state.edit("topic", "3");
  state.delete("topic", "3");
  expect([...state.entries()].map(([entity, key, vector]) => [entity, key, vector.length])).toEqual(
    [
      ["user", "1", SLOTS.user],
      ["post", "2", SLOTS.post],
    ],
  );
});
