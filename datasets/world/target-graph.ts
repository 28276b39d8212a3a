import { random } from "../random.ts";
import { type Edges, meanClustering, rewired } from "./clustering.ts";
import { type FollowGraph, follows } from "./graph.ts";
import type { Population } from "./population.ts";
import { powerLawTail } from "./power-law.ts";
import type { TargetRow } from "./target-row.ts";

const PAIRS_PER_NODE = 40;
/** From here on, a larger share of follows goes to the top 1 % (the celebrities of a larger network). */
const LARGE_NETWORK = 20_000;

export function graphTargets({ graph, users, seed }: Population): TargetRow[] {
  const followers = graph.followerCounts;
  const counts = Float64Array.from(followers).sort();
  const followCounts = Float64Array.from(
    { length: users.count },
    (_, u) => graph.offsets[u + 1]! - graph.offsets[u]!,
  ).sort();
  const total = graph.targets.length;
  const top = counts.subarray(users.count - Math.ceil(users.count / 100));
  const isLarge = users.count >= LARGE_NETWORK;
  const tail = powerLawTail(followers, Math.max(50, Math.floor(users.count / 50)));
  const mutual = mutualEdges(graph, users.count);
  const clustering = meanClustering(mutual, PAIRS_PER_NODE, random(seed, "paths"));
  const mixed = rewired(mutual, random(seed, "rewire"));
  const byChance = meanClustering(mixed, PAIRS_PER_NODE, random(seed, "random-paths"));
  return [
    {
      name: "follower exponent",
      value: tail.exponent,
      min: 2,
      max: isLarge ? 2.1 : 2.4,
      format: "number",
      note: `maximum likelihood over the ${tail.tail} with ≥ ${tail.xMin} followers`,
    },
    {
      name: "top 1 % share of follows",
      value: top.reduce((a, b) => a + b, 0) / total,
      min: isLarge ? 0.4 : 0.15,
      max: isLarge ? 0.6 : 0.35,
      format: "percent",
    },
    {
      name: "most followed account",
      value: counts.at(-1)! / users.count,
      min: 0.05,
      format: "percent",
      note: "of all users",
    },
    {
      name: "median follows",
      value: followCounts[Math.floor(users.count / 2)]!,
      min: 40,
      max: 120,
      format: "number",
    },
    { name: "most follows", value: followCounts.at(-1)!, min: 1000, format: "number" },
    {
      name: "reciprocity",
      value: (2 * mutual.from.length) / total,
      min: 0.2,
      max: 0.4,
      format: "percent",
    },
    {
      name: "clustering ÷ random",
      value: clustering / byChance,
      min: 5,
      format: "number",
      note: `mutual follows: ${clustering.toFixed(3)} against ${byChance.toFixed(4)} after rewiring`,
    },
  ];
}

function mutualEdges(graph: FollowGraph, nodes: number): Edges {
  const from: number[] = [];
  const to: number[] = [];
  for (let u = 0; u < nodes; u++) {
    for (let e = graph.offsets[u]!; e < graph.offsets[u + 1]!; e++) {
      const target = graph.targets[e]!;
      if (target > u && follows(graph, target, u)) {
        from.push(u);
        to.push(target);
      }
    }
  }
  return { from: Int32Array.from(from), to: Int32Array.from(to), nodes };
}
