import type { Leaf, Node, Value } from "./value.ts";

export interface Reachable {
  /** Every node that the outputs need, operands before users. */
  readonly nodes: readonly Node[];
  /** Every input, parameter and constant that they need, once each, in first-use order. */
  readonly leaves: readonly (Value & { readonly source: Leaf })[];
}

/** What must run to obtain `outputs`. */
export function reachable(outputs: readonly Value[]): Reachable {
  const nodes: Node[] = [];
  const leaves: (Value & { readonly source: Leaf })[] = [];
  const seen = new Set<Node | Value>();
  const visit = (value: Value): void => {
    const { source } = value;
    if (source.kind !== "output") {
      if (!seen.has(value)) {
        seen.add(value);
        leaves.push(value as Value & { readonly source: Leaf });
      }
      return;
    }
    if (seen.has(source.node)) return;
    seen.add(source.node);
    for (const operand of source.node.inputs) visit(operand);
    nodes.push(source.node);
  };
  for (const output of outputs) visit(output);
  return { nodes, leaves };
}

/** Floating-point operations of one run over `n` rows. A multiply–add counts as two. */
export function countFlops(outputs: readonly Value[], n: number): number {
  let total = 0;
  for (const node of reachable(outputs).nodes) {
    if (node.flops) total += node.flops(n);
    else
      for (const { shape } of node.outputs)
        total += shape.reduce<number>((size, dim) => size * (dim === "n" ? n : dim), 1);
  }
  return total;
}
