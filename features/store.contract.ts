import fc from "fast-check";
import { expect, test } from "vitest";
import type { Entity, StateEditor } from "./entities.ts";
import { SLOTS } from "./registry.ts";
import type { FeatureStore } from "./store.ts";

/** What every feature store promises. `open` gives an empty store. */
export function storeContract(open: () => Promise<FeatureStore>): void {
  const filled = (entity: Entity, value: number) => new Float64Array(SLOTS[entity]).fill(value);
  const put = (entity: Entity, key: string, value: number) => (state: StateEditor) => {
    state.edit(entity, key).fill(value);
  };

  test("an empty store is at position 0 and has nothing", async () => {
    const store = await open();
    expect(store.position).toBe(0);
    expect(store.get("user", "1")).toBeUndefined();
  });

  test("vectors come back to the bit, for any number and any key", async () => {
    const store = await open();
    const values = fc.oneof(fc.double(), fc.constantFrom(Number.NaN, -0, 5e-324, Infinity));
    const keys = fc.oneof(
      fc.string({ maxLength: 30 }),
      // Every UTF-16 unit, NUL and lone surrogates too: names come from requests.
      fc
        .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 200 })
        .map((codes) => String.fromCharCode(...codes)),
      fc.constantFrom(
        "",
        "*",
        "1|2",
        "18446744073709551615|home",
        "a\0",
        "a\0b",
        "a\ud800",
        "a\ud801",
      ),
    );
    let position = 0;
    await fc.assert(
      fc.asyncProperty(fc.dictionary(keys, values, { maxKeys: 6 }), async (entries) => {
        await store.transaction(++position, (state) => {
          for (const [key, value] of Object.entries(entries))
            state.edit("surface", key).fill(value);
        });
        for (const [key, value] of Object.entries(entries))
          expect(store.get("surface", key)).toEqual(filled("surface", value));
      }),
      { numRuns: 50 },
    );
    expect(store.position).toBe(position);
  });

  test("the same key of two entities is two vectors", async () => {
    const store = await open();
    await store.transaction(1, put("user", "7", 1));
    await store.transaction(2, put("author", "7", 2));
    expect(store.get("user", "7")).toEqual(filled("user", 1));
    expect(store.get("author", "7")).toEqual(filled("author", 2));
    expect(store.get("post", "7")).toBeUndefined();
  });

  test("a new entity begins with zeros", async () => {
    const store = await open();
    let first: Float64Array | undefined;
    await store.transaction(1, (state) => {
      first = state.edit("topic", "9").slice();
    });
    expect(first).toEqual(filled("topic", 0));
    expect(store.get("topic", "9")).toEqual(filled("topic", 0));
  });

  test("within a transaction changes are seen at once, outside not until all of it is committed", async () => {
    const store = await open();
    await store.transaction(1, put("user", "1", 1));
    const pending = store.transaction(2, (state) => {
      state.edit("user", "1").fill(2);
      state.delete("user", "gone");
      expect(state.get("user", "1")).toEqual(filled("user", 2));
      expect(store.get("user", "1")).toEqual(filled("user", 1));
      expect(store.position).toBe(1);
    });
    await pending;
    expect(store.get("user", "1")).toEqual(filled("user", 2));
    expect(store.position).toBe(2);
  });

  test("a reader never sees half of a transaction, nor a position that its vectors do not have", async () => {
    const store = await open();
    const keys = Array.from({ length: 40 }, (_, i) => `u${i}`);
    let finished = false;
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    const writing = (async () => {
      for (let round = 1; round <= 60; round++, await turn())
        await store.transaction(round, (state) => {
          for (const key of keys) state.edit("user_media", key).fill(round);
        });
      finished = true;
    })();
    let looks = 0;
    while (!finished) {
      const seen = new Set([
        store.position,
        ...keys.map((key) => store.get("user_media", key)?.[0] ?? 0),
      ]);
      expect([...seen]).toHaveLength(1);
      looks++;
      await turn();
    }
    await writing;
    expect(looks).toBeGreaterThan(1);
  });

  test("a change that throws changes nothing, and what comes after it still works", async () => {
    const store = await open();
    await store.transaction(1, put("user", "1", 1));
    const failing = store.transaction(2, (state) => {
      state.edit("user", "1").fill(9);
      state.edit("user", "2").fill(9);
      state.delete("user", "1");
      throw new Error("refused");
    });
    const after = store.transaction(3, put("user", "3", 3));
    await expect(failing).rejects.toThrow("refused");
    await after;
    expect(store.get("user", "1")).toEqual(filled("user", 1));
    expect(store.get("user", "2")).toBeUndefined();
    expect(store.get("user", "3")).toEqual(filled("user", 3));
    expect(store.position).toBe(3);
  });

  test("what a reader holds does not change under it", async () => {
    const store = await open();
    await store.transaction(1, put("user", "1", 1));
    const held = store.get("user", "1");
    await store.transaction(2, put("user", "1", 2));
    expect(held).toEqual(filled("user", 1));
  });

  test("a deleted vector is absent, and one made anew begins with zeros", async () => {
    const store = await open();
    await store.transaction(1, put("post", "1", 5));
    await store.transaction(2, (state) => {
      state.delete("post", "1");
      expect(state.get("post", "1")).toBeUndefined();
    });
    expect(store.get("post", "1")).toBeUndefined();
    await store.transaction(3, (state) => {
      state.delete("post", "2");
      state.edit("post", "2");
      state.edit("post", "1")[0] = 1;
    });
    expect(store.get("post", "1")?.[1]).toBe(0);
    expect(store.get("post", "2")).toEqual(filled("post", 0));
  });

  test("deleting and making anew within one transaction forgets the old numbers", async () => {
    const store = await open();
    await store.transaction(1, put("post", "1", 5));
    await store.transaction(2, (state) => {
      state.delete("post", "1");
      state.edit("post", "1")[0] = 1;
    });
    expect([...(store.get("post", "1") as Float64Array).subarray(0, 2)]).toEqual([1, 0]);
  });

  test("the keys of an entity are those of the store and of the running transaction, each once", async () => {
    const store = await open();
    await store.transaction(1, (state) => {
      for (const key of ["", "1|2", "1|3", "2|1"]) state.edit("user_author", key);
      state.edit("user", "1");
    });
    let within: string[] = [];
    await store.transaction(2, (state) => {
      state.delete("user_author", "1|2");
      state.edit("user_author", "1|3");
      state.edit("user_author", "4|4");
      state.edit("user_author", "5|5");
      state.delete("user_author", "5|5");
      within = [...state.keys("user_author")].sort();
      expect([...state.keys("token")]).toEqual([]);
    });
    expect(within).toEqual(["", "1|3", "2|1", "4|4"]);
  });

  test("overlapping transactions run one after another, each on what the one before left", async () => {
    const store = await open();
    await Promise.all(
      Array.from({ length: 25 }, (_, i) =>
        store.transaction(i + 1, (state) => {
          const vector = state.edit("global", "*");
          vector[0] = (vector[0] as number) + 1;
          vector[1] = 2 * (vector[1] as number) + (i % 2);
        }),
      ),
    );
    // The second slot spells the order in binary.
    const order = Array.from({ length: 25 }, (_, i) => i % 2).join("");
    const [count, spelled] = store.get("global", "*") as Float64Array;
    expect(count).toBe(25);
    expect(spelled?.toString(2).padStart(25, "0")).toBe(order);
    expect(store.position).toBe(25);
  });
}
