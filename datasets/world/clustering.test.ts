import { expect, test } from "vitest";
import { random } from "../random.ts";
import { type Edges, meanClustering, rewired } from "./clustering.ts";

function randomGraph(nodes: number, p: number): Edges {
  const source = random(1, "graph");
  const from: number[] = [];
  const to: number[] = [];
  for (let a = 0; a < nodes; a++)
    for (let b = a + 1; b < nodes; b++)
      if (source.next() < p) {
        from.push(a);
        to.push(b);
      }
  return { from: Int32Array.from(from), to: Int32Array.from(to), nodes };
}

/** All pairs of neighbours of all nodes. */
function bruteForce({ from, to, nodes }: Edges): number {
  const near = Array.from({ length: nodes }, () => new Set<number>());
  for (let e = 0; e < from.length; e++) {
    near[from[e]!]!.add(to[e]!);
    near[to[e]!]!.add(from[e]!);
  }
  let sum = 0;
  let counted = 0;
  for (const set of near) {
    const list = [...set];
    if (list.length < 2) continue;
    let joined = 0;
    let pairs = 0;
    for (const [i, a] of list.entries())
      for (const b of list.slice(i + 1)) {
        pairs++;
        if (near[a]!.has(b)) joined++;
      }
    sum += joined / pairs;
    counted++;
  }
  return sum / counted;
}

test("mean clustering by lot agrees with counting all pairs of neighbours", () => {
  const graph = randomGraph(80, 0.2);
  expect(meanClustering(graph, 500, random(2))).toBeCloseTo(bruteForce(graph), 2);
});

test("in a complete graph all neighbours are joined, in a ring none", () => {
  const complete = randomGraph(12, 1.1);
  expect(meanClustering(complete, 50, random(3))).toBe(1);
  const ring = {
    from: Int32Array.from({ length: 9 }, (_, i) => i),
    to: Int32Array.from({ length: 9 }, (_, i) => (i + 1) % 9),
    nodes: 9,
  };
  expect(meanClustering(ring, 50, random(3))).toBe(0);
});

test("rewiring keeps every degree and makes no loop and no double edge", () => {
  const graph = randomGraph(60, 0.15);
  const mixed = rewired(graph, random(4));
  const degrees = ({ from, to, nodes }: Edges): number[] => {
    const degree = new Array<number>(nodes).fill(0);
    for (let e = 0; e < from.length; e++) {
      degree[from[e]!]!++;
      degree[to[e]!]!++;
    }
    return degree;
  };
  expect(degrees(mixed)).toEqual(degrees(graph));
  const keys = new Set<string>();
  let kept = 0;
  const before = new Set([...graph.from].map((a, e) => `${a} ${graph.to[e]}`));
  for (let e = 0; e < mixed.from.length; e++) {
    const ends = [mixed.from[e]!, mixed.to[e]!].sort((a, b) => a - b);
    expect(ends[0]).not.toBe(ends[1]);
    keys.add(ends.join(" "));
    if (before.has(ends.join(" "))) kept++;
  }
  expect(keys.size).toBe(mixed.from.length);
  expect(kept / keys.size).toBeLessThan(0.4);
});
