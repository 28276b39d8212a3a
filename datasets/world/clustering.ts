import type { Random } from "../random.ts";

/** An undirected simple graph as edge ends. */
export interface Edges {
  readonly from: Int32Array;
  readonly to: Int32Array;
  readonly nodes: number;
}

const SWAPS_PER_EDGE = 5;

/**
 * Mean local clustering: over all nodes with two neighbours or more, the share of pairs of neighbours that are joined,
 * estimated from `pairsPerNode` random pairs of each.
 *
 * Source: Watts and Strogatz (1998), "Collective dynamics of 'small-world' networks".
 */
export function meanClustering(edges: Edges, pairsPerNode: number, random: Random): number {
  const keys = new Set<number>();
  const start = new Int32Array(edges.nodes + 1);
  for (let e = 0; e < edges.from.length; e++) {
    keys.add(key(edges, edges.from[e]!, edges.to[e]!));
    start[edges.from[e]! + 1]!++;
    start[edges.to[e]! + 1]!++;
  }
  for (let v = 0; v < edges.nodes; v++) start[v + 1]! += start[v]!;
  const next = start.slice(0, edges.nodes);
  const neighbour = new Int32Array(start[edges.nodes]!);
  for (let e = 0; e < edges.from.length; e++) {
    neighbour[next[edges.from[e]!]!++] = edges.to[e]!;
    neighbour[next[edges.to[e]!]!++] = edges.from[e]!;
  }
  let sum = 0;
  let nodes = 0;
  for (let v = 0; v < edges.nodes; v++) {
    const first = start[v]!;
    const degree = start[v + 1]! - first;
    if (degree < 2) continue;
    let joined = 0;
    for (let i = 0; i < pairsPerNode; i++) {
      const a = random.below(degree);
      const b = (a + 1 + random.below(degree - 1)) % degree;
      if (keys.has(key(edges, neighbour[first + a]!, neighbour[first + b]!))) joined++;
    }
    sum += joined / pairsPerNode;
    nodes++;
  }
  return sum / nodes;
}

/**
 * A random graph of the same degrees: double-edge swaps, refusing loops and multi-edges.
 * Source: Maslov and Sneppen (2002), "Specificity and stability in topology of protein networks".
 */
export function rewired(edges: Edges, random: Random): Edges {
  const from = edges.from.slice();
  const to = edges.to.slice();
  const keys = new Set<number>();
  for (let e = 0; e < from.length; e++) keys.add(key(edges, from[e]!, to[e]!));
  for (let i = 0; i < from.length * SWAPS_PER_EDGE; i++) {
    const e = random.below(from.length);
    const f = random.below(from.length);
    const [a, b] = [from[e]!, to[e]!];
    const [c, d] = random.next() < 0.5 ? [from[f]!, to[f]!] : [to[f]!, from[f]!];
    if (a === c || a === d || b === c || b === d) continue;
    if (keys.has(key(edges, a, d)) || keys.has(key(edges, c, b))) continue;
    keys.delete(key(edges, a, b));
    keys.delete(key(edges, c, d));
    keys.add(key(edges, a, d));
    keys.add(key(edges, c, b));
    from[e] = a;
    to[e] = d;
    from[f] = c;
    to[f] = b;
  }
  return { from, to, nodes: edges.nodes };
}

function key({ nodes }: Edges, a: number, b: number): number {
  return a < b ? a * nodes + b : b * nodes + a;
}
