import type { Tensor } from "@tensorflow/tfjs";
import { reachable } from "./traverse.ts";
import type { TensorFlow, TypedData, Value } from "./value.ts";

/** A tensor to feed: its data, and its shape with the number of rows filled in. */
export interface Fed {
  readonly data: TypedData;
  readonly shape: readonly number[];
}

export function toTensor(tf: TensorFlow, { data, shape }: Fed): Tensor {
  return tf.tensor(data, [...shape], data instanceof Int32Array ? "int32" : "float32");
}

/** Runs the TensorFlow.js twins of everything that `outputs` need. `leaves`: tensor per input and parameter name. */
export function runTwins(
  tf: TensorFlow,
  outputs: readonly Value[],
  leaves: ReadonlyMap<string, Tensor>,
): Tensor[] {
  const graph = reachable(outputs);
  const results = new Map<Value, Tensor>();
  for (const leaf of graph.leaves) {
    const { source, shape } = leaf;
    const tensor =
      source.kind === "constant"
        ? toTensor(tf, { data: source.data, shape: shape as readonly number[] })
        : leaves.get(source.name);
    if (!tensor) throw new TypeError(`no tensor fed for ${(source as { name: string }).name}`);
    results.set(leaf, tensor);
  }
  for (const node of graph.nodes) {
    const operands = node.inputs.map((operand) => results.get(operand) as Tensor);
    const tensors = node.tfjs(tf, operands);
    node.outputs.forEach((output, i) => {
      const tensor = tensors[i];
      if (tensor) results.set(output, tensor);
    });
  }
  return outputs.map((output) => results.get(output) as Tensor);
}
