import type { Tensor } from "@tensorflow/tfjs";
import { RoostError } from "../../errors.ts";
import type { OnnxWriter } from "./onnx-writer.ts";
import type { Ops } from "./ops.ts";
import { type DType, elementCount, type Shape, shapeText } from "./shape.ts";

export type TensorFlow = typeof import("@tensorflow/tfjs");
export type TypedData = Float32Array | Int32Array;

/** A tensor of the graph: where it comes from, its shape and its element type. Graphs are immutable. */
export interface Value {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly source: Leaf | Output;
}

/** What a graph starts from. Parameters are trained; inputs are fed; constants are part of the model. */
export type Leaf =
  | { readonly kind: "input"; readonly name: string }
  | { readonly kind: "parameter"; readonly name: string }
  | { readonly kind: "constant"; readonly data: TypedData };

export interface Output {
  readonly kind: "output";
  readonly node: Node;
  readonly index: number;
}

/** ONNX names of one node's operands; an output that nothing reads has the empty name. */
export interface NodeNames {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** One application of an op, with its three executions: ONNX emission, gradient rule, TensorFlow.js twin. */
export interface Node {
  readonly op: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  emit(onnx: OnnxWriter, names: NodeNames): void;
  /** Gradients of a scalar with respect to `inputs`, given those with respect to `outputs`; undefined = none flows. */
  gradient(gradients: readonly (Value | undefined)[], ops: Ops): readonly (Value | undefined)[];
  tfjs(tf: TensorFlow, inputs: readonly Tensor[]): Tensor[];
  /** Floating-point operations of one run over `n` rows; defaults to one per output element. */
  flops?(n: number): number;
}

export interface NodeRules extends Omit<Node, "outputs" | "gradient"> {
  /** Shape and element type of each output. */
  readonly types: readonly { readonly shape: Shape; readonly dtype: DType }[];
  /** Receives the node's own outputs too, for rules that reuse them. */
  gradient(
    gradients: readonly (Value | undefined)[],
    ops: Ops,
    outputs: readonly Value[],
  ): readonly (Value | undefined)[];
}

/** A node from its rules; returns its outputs. */
export function addNode(rules: NodeRules): readonly Value[] {
  const { types, gradient, ...rest } = rules;
  const outputs: Value[] = [];
  const node: Node = {
    ...rest,
    outputs,
    gradient: (gradients, ops) => gradient(gradients, ops, outputs),
  };
  types.forEach(({ shape, dtype }, index) => {
    outputs.push({ shape, dtype, source: { kind: "output", node, index } });
  });
  return outputs;
}

/** A node with one output whose gradient rule gets the one gradient. */
export function addOp(
  rules: Omit<NodeRules, "types" | "gradient" | "tfjs"> & {
    readonly shape: Shape;
    readonly dtype?: DType;
    gradient(gradient: Value, ops: Ops, output: Value): readonly (Value | undefined)[];
    tfjs(tf: TensorFlow, inputs: readonly Tensor[]): Tensor;
  },
): Value {
  const { shape, dtype = "float32", gradient, tfjs, ...rest } = rules;
  return addNode({
    ...rest,
    types: [{ shape, dtype }],
    gradient: ([dy], ops, [y]) =>
      dy && y ? gradient(dy, ops, y) : rest.inputs.map(() => undefined),
    tfjs: (tf, inputs) => [tfjs(tf, inputs)],
  })[0] as Value;
}

/** A tensor fed at every run. */
export function input(name: string, shape: Shape, dtype: DType = "float32"): Value {
  return { shape, dtype, source: { kind: "input", name } };
}

/** A trained tensor: fed while training, an initialiser of the inference model. Its shape is fixed. */
export function parameter(name: string, shape: readonly number[]): Value {
  return { shape, dtype: "float32", source: { kind: "parameter", name } };
}

/** @throws GRAPH_SHAPE when `data` does not fill `shape`. */
export function constant(data: TypedData, shape: readonly number[]): Value {
  if (data.length !== elementCount(shape, 0))
    throw new RoostError(
      "GRAPH_SHAPE",
      `constant ${shapeText(shape)}: got ${data.length} elements`,
    );
  const dtype = data instanceof Int32Array ? "int32" : "float32";
  return { shape, dtype, source: { kind: "constant", data } };
}

/** A float32 constant of shape []. */
export function scalar(value: number): Value {
  return constant(Float32Array.of(value), []);
}
