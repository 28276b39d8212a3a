import type { Random } from "../random.ts";

/** An undirected simple graph as edge ends. */
export interface Edges {
  readonly from: Int32Array;
  readonly to: Int32Array;
  readonly nodes: number;
}

const SWAPS_PER_EDGE = 5;

/**
 * Transitivity: of all paths a–b–c the share with a–c joined, estimated from `paths` random ones.
 */
export function transitivity(edges: Edges, paths: number, random: Random): number {
  const keys = new Set<number>();
  const degree = new Int32Array(edges.nodes + 1);
  for (let e = 0; e < edges.from.length; e++) {
    keys.add(key(edges, edges.from[e]!, edges.to[e]!));
    degree[edges.from[e]! + 1]!++;
    degree[edges.to[e]! + 1]!++;
  }
  const start = degree.slice();
  for (let v = 0; v < edges.nodes; v++) start[v + 1]! += start[v]!;
  const next = start.slice(0, edges.nodes);
  const neighbour = new Int32Array(start[edges.nodes]!);
  for (let e = 0; e < edges.from.length; e++) {
    neighbour[next[edges.from[e]!]!++] = edges.to[e]!;
    neighbour[next[edges.to[e]!]!++] = edges.from[e]!;
  }
  const cumulative = new Float64Array(edges.nodes);
  let total = 0;
  for (let v = 0; v < edges.nodes; v++) {
    const d = start[v + 1]! - start[v]!;
    total += (d * (d - 1)) / 2;
    cumulative[v] = total;
  }
  let closed = 0;
  for (let i = 0; i < paths; i++) {
    const middle = upperBound(cumulative, random.next() * total);
    const d = start[middle + 1]! - start[middle]!;
    const a = random.below(d);
    const b = (a + 1 + random.below(d - 1)) % d;
    const ends = [neighbour[start[middle]! + a]!, neighbour[start[middle]! + b]!] as const;
    if (keys.has(key(edges, ends[0], ends[1]))) closed++;
  }
  return closed / paths;
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

function upperBound(cumulative: Float64Array, at: number): number {
  let low = 0;
  let high = cumulative.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (cumulative[middle]! > at) high = middle;
    else low = middle + 1;
  }
  return low;
}
