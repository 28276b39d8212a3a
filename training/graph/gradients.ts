import { RoostError } from "../../errors.ts";
import { ops } from "./ops.ts";
import { sameShape, shapeText } from "./shape.ts";
import { reachable } from "./traverse.ts";
import { type Node, scalar, type Value } from "./value.ts";

/**
 * Gradients of the scalar `loss` with respect to each of `wrt`, as graph values of the same shapes (reverse mode).
 * A value that the loss does not depend on gets zeros.
 * @throws GRAPH_SHAPE when `loss` is not of shape [] or a rule returns a gradient of another shape than its operand.
 */
export function gradients(loss: Value, wrt: readonly Value[]): readonly Value[] {
  if (loss.shape.length !== 0)
    throw new RoostError("GRAPH_SHAPE", `gradients ${shapeText(loss.shape)}: loss must be []`);
  const { nodes } = reachable([loss]);
  const wanted = new Set(wrt);
  const active = new Set<Node>();
  const isActive = (value: Value): boolean =>
    wanted.has(value) || (value.source.kind === "output" && active.has(value.source.node));
  for (const node of nodes) if (node.inputs.some(isActive)) active.add(node);

  const found = new Map<Value, Value>([[loss, scalar(1)]]);
  for (const node of [...nodes].reverse()) {
    if (!active.has(node)) continue;
    const arriving = node.outputs.map((output) => found.get(output));
    if (arriving.every((gradient) => gradient === undefined)) continue;
    const leaving = node.gradient(arriving, ops);
    node.inputs.forEach((operand, i) => {
      const gradient = leaving[i];
      if (!gradient || !isActive(operand)) return;
      if (!sameShape(gradient.shape, operand.shape))
        throw new RoostError(
          "GRAPH_SHAPE",
          `${node.op} ${shapeText(operand.shape)}: its gradient has shape ${shapeText(gradient.shape)}`,
        );
      const earlier = found.get(operand);
      found.set(operand, earlier ? ops.add(earlier, gradient) : gradient);
    });
  }
  return wrt.map((value) => found.get(value) ?? ops.expandLike(scalar(0), value));
}
