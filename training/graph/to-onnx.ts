import { RoostError } from "../../errors.ts";
import { OnnxModelWriter } from "./onnx-writer.ts";
import { elementCount, shapeText } from "./shape.ts";
import { reachable } from "./traverse.ts";
import type { Value } from "./value.ts";

export interface OnnxSignature {
  /** Output name → value. */
  readonly outputs: Readonly<Record<string, Value>>;
  /** Parameters by name that become initialisers; the others become inputs of the model. */
  readonly weights?: ReadonlyMap<string, Float32Array>;
}

/**
 * The ONNX model that computes `outputs`. Graph inputs (and parameters without weights) keep their names and are
 * declared in first-use order.
 * @throws GRAPH_SHAPE when a weight does not fill its parameter or two leaves share a name.
 */
export function toOnnx({ outputs, weights = new Map() }: OnnxSignature): Uint8Array {
  const onnx = new OnnxModelWriter();
  const { nodes, leaves } = reachable(Object.values(outputs));
  const names = new Map<Value, string>();
  const taken = new Set<string>();

  for (const leaf of leaves) {
    const { source, shape, dtype } = leaf;
    if (source.kind === "constant") {
      names.set(leaf, onnx.constant(source.data, shape as readonly number[]));
      continue;
    }
    if (taken.has(source.name))
      throw new RoostError("GRAPH_SHAPE", `two leaves are named ${source.name}`);
    taken.add(source.name);
    names.set(leaf, source.name);
    const data = source.kind === "parameter" ? weights.get(source.name) : undefined;
    if (!data) onnx.input(source.name, shape, dtype);
    else if (data.length === elementCount(shape, 0))
      onnx.initialiser(source.name, data, shape as readonly number[]);
    else
      throw new RoostError(
        "GRAPH_SHAPE",
        `parameter ${source.name} ${shapeText(shape)}: got ${data.length} weights`,
      );
  }

  const used = new Set([...nodes.flatMap((node) => node.inputs), ...Object.values(outputs)]);
  for (const node of nodes) {
    for (const output of node.outputs) names.set(output, used.has(output) ? onnx.fresh() : "");
    node.emit(onnx, {
      inputs: node.inputs.map((operand) => names.get(operand) as string),
      outputs: node.outputs.map((output) => names.get(output) as string),
    });
  }
  for (const [name, value] of Object.entries(outputs)) {
    // An Identity gives each output its own name even where one value is asked for twice or is an input.
    onnx.node("Identity", [names.get(value) as string], [name]);
    onnx.output(name, value.shape, value.dtype);
  }
  return onnx.encode();
}
