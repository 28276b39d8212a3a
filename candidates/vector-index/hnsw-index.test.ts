import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import { ExactIndex } from "./exact-index.ts";
import { HnswIndex } from "./hnsw-index.ts";
import { loadIndex, openIndex } from "./open-index.ts";
import { clusteredVectors, DIMENSION, vectorIndexContract } from "./vector-index.contract.ts";

vectorIndexContract(
  "HNSW index",
  () => HnswIndex.open(DIMENSION),
  (dir) => HnswIndex.load(dir),
  0.98,
);

const ids = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => String(from + i));

test("capacity grows beyond what the graph began with", async () => {
  const index = await HnswIndex.open(4, { buildCandidates: 20, links: 6 });
  try {
    await index.add(ids(0, 5_000), clusteredVectors(5_000, random(1, "grow"), 4));
    expect((await index.facts()).capacity).toBeGreaterThanOrEqual(5_000);
    expect((await index.search(Float32Array.of(1, 0, 0, 0), 100)).ids.length).toBe(100);
  } finally {
    await index.close();
  }
});

test("deleted places are taken again before the graph grows", async () => {
  const index = await HnswIndex.open(DIMENSION);
  try {
    const vectors = clusteredVectors(200, random(2, "reuse"));
    await index.add(ids(0, 200), vectors);
    for (let round = 1; round <= 5; round++) {
      await index.remove(ids(200 * (round - 1), 200 * round));
      await index.add(ids(200 * round, 200 * (round + 1)), vectors);
    }
    expect(await index.facts()).toMatchObject({ live: 200, deleted: 0 });
  } finally {
    await index.close();
  }
});

test("when too many are deleted the graph is built anew in the background and loses nothing", async () => {
  const index = await HnswIndex.open(DIMENSION, { rebuildShare: 0.5 });
  const exact = new ExactIndex(DIMENSION);
  try {
    const draws = random(3, "rebuild");
    const vectors = clusteredVectors(2_000, draws);
    await index.add(ids(0, 2_000), vectors);
    await exact.add(ids(0, 2_000), vectors);
    await index.remove(ids(0, 1_200));
    await exact.remove(ids(0, 1_200));
    // While the second graph grows: an add, a delete of what waits for its turn, searches.
    const late = clusteredVectors(50, draws);
    await Promise.all([index.add(ids(5_000, 5_050), late), index.remove(ids(1_500, 1_550))]);
    await exact.add(ids(5_000, 5_050), late);
    await exact.remove(ids(1_500, 1_550));
    for (;;) {
      const during = await index.search(late.subarray(0, DIMENSION), 10);
      expect(during.ids[0]).toBe("5000");
      if ((await index.facts()).rebuilds > 0) break;
    }
    const facts = await index.facts();
    expect(facts.live).toBe(800);
    expect(facts.deleted).toBeLessThanOrEqual(50);
    let hits = 0;
    for (let q = 0; q < 20; q++) {
      const query = clusteredVectors(1, draws);
      const wanted = new Set((await exact.search(query, 40)).ids);
      hits += (await index.search(query, 40)).ids.filter((id) => wanted.has(id)).length;
    }
    expect(hits / 800).toBeGreaterThanOrEqual(0.98);
  } finally {
    await index.close();
  }
});

test("a closed index refuses further work with its reason", async () => {
  const index = await HnswIndex.open(DIMENSION);
  await index.close();
  await expect(index.search(new Float32Array(DIMENSION), 1)).rejects.toMatchObject({
    code: "NOT_READY",
  });
});

test("an index about another model is refused, one about the same is opened by its kind", async () => {
  const dir = await mkdtemp(join(tmpdir(), "roost-index-"));
  const index = await openIndex(DIMENSION, () => expect.fail("hnswlib-node is installed here"));
  const exact = new ExactIndex(DIMENSION);
  try {
    const vectors = clusteredVectors(3, random(4, "about"));
    for (const each of [index, exact]) {
      await each.add(["1", "2", "3"], vectors);
      const at = join(dir, each.kind);
      await each.save(at, { model: "a" });
      await expect(loadIndex(at, { model: "b" })).rejects.toThrow(/model a, not b/);
      const back = await loadIndex(at, { model: "a" });
      expect([back.kind, back.size]).toEqual([each.kind, 3]);
      await back.close();
    }
    await expect(ExactIndex.load(join(dir, "hnsw"))).rejects.toMatchObject({ code: "BAD_INDEX" });
    await expect(HnswIndex.load(join(dir, "exact"))).rejects.toMatchObject({ code: "BAD_INDEX" });
  } finally {
    await index.close();
    await rm(dir, { recursive: true, force: true });
  }
});
