import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { type Random, random } from "../../datasets/random.ts";
import type { VectorIndex } from "./vector-index.ts";

export const DIMENSION = 16;

/** Unit vectors of a few clusters, as towers make them. */
export function clusteredVectors(n: number, draws: Random, dimension = DIMENSION): Float32Array {
  const centres = Array.from({ length: 12 }, () =>
    Float64Array.from({ length: dimension }, () => draws.normal()),
  );
  const vectors = new Float32Array(n * dimension);
  for (let i = 0; i < n; i++) {
    const centre = centres[draws.below(12)] as Float64Array;
    const row = vectors.subarray(i * dimension, (i + 1) * dimension);
    for (let j = 0; j < dimension; j++) row[j] = (centre[j] as number) + 0.7 * draws.normal();
    const length = Math.hypot(...row);
    for (let j = 0; j < dimension; j++) row[j] = (row[j] as number) / length;
  }
  return vectors;
}

/** What every vector index must hold. `recall`: least share of the true neighbours that a search finds. */
export function vectorIndexContract(
  name: string,
  make: () => Promise<VectorIndex>,
  load: (dir: string) => Promise<VectorIndex>,
  recall: number,
): void {
  const opened: { close(): Promise<void> }[] = [];
  const dirs: string[] = [];
  afterEach(async () => {
    for (const index of opened.splice(0)) await index.close();
    for (const dir of dirs.splice(0)) await rm(dir, { recursive: true, force: true });
  });
  const fresh = async (): Promise<VectorIndex> => {
    const index = await make();
    opened.push(index);
    return index;
  };
  const directory = async (): Promise<string> => {
    const dir = await mkdtemp(join(tmpdir(), "roost-index-"));
    dirs.push(dir);
    return join(dir, "index");
  };
  const id = (i: number): string => String(1_000_000 + i);
  const vectorOf = (vectors: Float32Array, i: number): Float32Array =>
    vectors.slice(i * DIMENSION, (i + 1) * DIMENSION);

  /** Brute force in double precision over what is said to be in. */
  const truth = (live: ReadonlyMap<string, Float32Array>, query: Float32Array, k: number) =>
    [...live]
      .map(([key, vector]) => ({
        id: key,
        score: vector.reduce((sum, x, j) => sum + x * (query[j] as number), 0),
      }))
      .sort((a, b) => b.score - a.score)
      .slice(0, k);

  describe(name, () => {
    test("an empty index finds nothing", async () => {
      const index = await fresh();
      expect(index.size).toBe(0);
      const found = await index.search(new Float32Array(DIMENSION).fill(1), 10);
      expect([found.ids, found.scores.length]).toEqual([[], 0]);
    });

    test("the nearest come best first, with their dot products", async () => {
      const index = await fresh();
      const draws = random(1, "index");
      const vectors = clusteredVectors(800, draws);
      const ids = Array.from({ length: 800 }, (_, i) => id(i));
      await index.add(ids, vectors);
      const live = new Map(ids.map((key, i) => [key, vectorOf(vectors, i)]));
      let hits = 0;
      for (let q = 0; q < 20; q++) {
        const query = vectorOf(clusteredVectors(1, draws), 0);
        const found = await index.search(query, 50);
        const wanted = truth(live, query, 50);
        expect(found.ids.length).toBe(50);
        expect(new Set(found.ids).size).toBe(50);
        found.ids.forEach((key, i) => {
          const score = found.scores[i] as number;
          const exact = (live.get(key) as Float32Array).reduce(
            (sum, x, j) => sum + x * (query[j] as number),
            0,
          );
          expect(score).toBeCloseTo(exact, 4);
          if (i > 0) expect(score).toBeLessThanOrEqual(found.scores[i - 1] as number);
        });
        const among = new Set(found.ids);
        hits += wanted.filter(({ id: key }) => among.has(key)).length;
      }
      expect(hits / (20 * 50)).toBeGreaterThanOrEqual(recall);
    });

    test("random adds, updates and removes leave what brute force says is in", async () => {
      const index = await fresh();
      const draws = random(2, "index");
      const live = new Map<string, Float32Array>();
      for (let round = 0; round < 60; round++) {
        const vectors = clusteredVectors(40, draws);
        const ids = Array.from({ length: 40 }, () => id(draws.below(900)));
        ids.forEach((key, i) => {
          live.set(key, vectorOf(vectors, i));
        });
        const doomed = [...live.keys()].filter(() => draws.next() < 0.08);
        const adding = index.add(ids, vectors);
        const removing = index.remove([...doomed, "7"]);
        for (const key of doomed) live.delete(key);
        expect(index.size).toBe(live.size);
        const query = vectorOf(clusteredVectors(1, draws), 0);
        const found = await index.search(query, 30);
        await Promise.all([adding, removing]);
        expect(found.ids.filter((key) => !live.has(key))).toEqual([]);
        expect(found.ids.length).toBe(Math.min(30, live.size));
        const among = new Set(found.ids);
        const hits = truth(live, query, 30).filter(({ id: key }) => among.has(key)).length;
        expect(hits / found.ids.length, `round ${round}`).toBeGreaterThanOrEqual(recall - 0.1);
      }
      expect([...index.ids()].sort()).toEqual([...live.keys()].sort());
      expect(index.has([...live.keys()][0] as string)).toBe(true);
      expect(index.has("7")).toBe(false);
    });

    test("an updated item is found by its new vector only", async () => {
      const index = await fresh();
      const [east, north] = [new Float32Array(DIMENSION), new Float32Array(DIMENSION)];
      east[0] = 1;
      north[1] = 1;
      await index.add(["5", "6"], Float32Array.of(...east, ...north));
      await index.add(["5"], north);
      expect(index.size).toBe(2);
      const found = await index.search(east, 2);
      expect([...found.scores]).toEqual([0, 0]);
      await index.remove(["5", "6"]);
      expect((await index.search(north, 2)).ids).toEqual([]);
    });

    test("more is asked for than there is", async () => {
      const index = await fresh();
      await index.add(["1", "2", "3"], clusteredVectors(3, random(3, "index")));
      const found = await index.search(new Float32Array(DIMENSION).fill(0.2), 5_000);
      expect([...found.ids].sort()).toEqual(["1", "2", "3"]);
    });

    test("vectors of another size or with NaN are refused, and nothing is put in", async () => {
      const index = await fresh();
      await expect(index.add(["1"], new Float32Array(DIMENSION - 1))).rejects.toThrow(
        /15 numbers are not 1 vectors of 16/,
      );
      const broken = new Float32Array(2 * DIMENSION);
      broken[DIMENSION + 3] = Number.NaN;
      await expect(index.add(["1", "2"], broken)).rejects.toThrow(/vector 1 holds NaN at 3/);
      await expect(index.search(broken.subarray(DIMENSION), 1)).rejects.toMatchObject({
        code: "BAD_ARGUMENT",
      });
      expect(index.size).toBe(0);
    });

    test("a saved index comes back, takes further items and answers the same", async () => {
      const index = await fresh();
      const draws = random(4, "index");
      const vectors = clusteredVectors(500, draws);
      const ids = Array.from({ length: 500 }, (_, i) => id(i));
      await index.add(ids, vectors);
      await index.remove(ids.slice(0, 120));
      const dir = await directory();
      await index.save(dir, { model: "m1" });
      const back = await load(dir);
      opened.push(back);
      expect([back.size, back.dimension]).toEqual([380, DIMENSION]);
      for (let q = 0; q < 5; q++) {
        const query = vectorOf(clusteredVectors(1, draws), 0);
        const [a, b] = [await index.search(query, 20), await back.search(query, 20)];
        expect(b.ids).toEqual(a.ids);
        expect([...b.scores]).toEqual([...a.scores]);
      }
      const query = vectorOf(vectors, 3);
      await back.add([id(3)], query);
      expect((await back.search(query, 1)).ids).toEqual([id(3)]);
      expect(index.has(id(3))).toBe(false);
      // Saving again replaces the directory and leaves nothing beside it.
      await back.save(dir, { model: "m2" });
      const again = await load(dir);
      opened.push(again);
      expect(again.size).toBe(381);
      expect(await readdir(join(dir, ".."))).toEqual(["index"]);
    });

    test("damaged, missing and foreign files are refused by name", async () => {
      const index = await fresh();
      await index.add(["1", "2"], clusteredVectors(2, random(5, "index")));
      const dir = await directory();
      await expect(load(dir)).rejects.toMatchObject({ code: "BAD_INDEX" });
      for (const file of ["vectors", "ids", "index.json"]) {
        await index.save(dir, {});
        const path = join(dir, file);
        const bytes = await readFile(path);
        bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 0x55;
        await writeFile(path, bytes);
        await expect(load(dir), file).rejects.toMatchObject({ code: "BAD_INDEX" });
        await rm(path);
        await expect(load(dir), file).rejects.toThrow(file);
      }
    });
  });
}
