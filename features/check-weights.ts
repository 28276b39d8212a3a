import { RoostError } from "../errors.ts";
import { payloads, textOf, wireFields } from "./onnx-wire.ts";

/** Field numbers of onnx.proto. Source: github.com/onnx/onnx, onnx/onnx.proto (Apache-2.0). */
const MODEL = { graph: 7, functions: 25 } as const;
const FUNCTION_NODE = 7;
const GRAPH = { node: 1, initializer: 5, sparseInitializer: 15 } as const;
const NODE_ATTRIBUTE = 5;
const ATTRIBUTE = { name: 1, t: 5, g: 6, floats: 7, tensors: 10, graphs: 11 } as const;
const TENSOR = {
  dims: 1,
  dataType: 2,
  floats: 4,
  int32s: 5,
  name: 8,
  raw: 9,
  doubles: 10,
  dataLocation: 14,
} as const;
const FLOAT = 1;
const FLOAT16 = 10;
const DOUBLE = 11;
const BFLOAT16 = 16;
const EXTERNAL = 1;

/** A tree's threshold may be infinite: it then sends every present value one way. */
const MAY_BE_INFINITE = "nodes_values";

/**
 * Looks at every weight of an ONNX model: floating-point tensors of more than one element and lists of floats in
 * attributes (trees). Constants of one element are no weights: a mask's −∞ or a marker's NaN is meant.
 * @returns how many weights there are
 * @throws BAD_BUNDLE naming the first tensor with a NaN or an infinite weight, or with weights outside the file
 */
export function checkWeights(model: Uint8Array): number {
  let count = 0;
  try {
    for (const { number, bytes } of wireFields(model)) {
      if (number === MODEL.graph) count += graphWeights(bytes);
      if (number === MODEL.functions)
        for (const node of payloads(bytes, FUNCTION_NODE)) count += nodeWeights(node);
    }
  } catch (error) {
    if (error instanceof RoostError) throw error;
    throw new RoostError("BAD_BUNDLE", `the model is no ONNX file: ${(error as Error).message}`);
  }
  return count;
}

function graphWeights(graph: Uint8Array): number {
  let count = 0;
  for (const { number, bytes } of wireFields(graph)) {
    if (number === GRAPH.initializer) count += tensorWeights(bytes);
    if (number === GRAPH.sparseInitializer)
      for (const values of payloads(bytes, 1)) count += tensorWeights(values);
    if (number === GRAPH.node) count += nodeWeights(bytes);
  }
  return count;
}

function nodeWeights(node: Uint8Array): number {
  let count = 0;
  for (const attribute of payloads(node, NODE_ATTRIBUTE)) {
    const name = textOf(attribute, ATTRIBUTE.name);
    let loose = 0;
    for (const { number, raw, bytes } of wireFields(attribute)) {
      if (number === ATTRIBUTE.g || number === ATTRIBUTE.graphs) count += graphWeights(bytes);
      if (number === ATTRIBUTE.t || number === ATTRIBUTE.tensors)
        count += tensorWeights(bytes, name);
      if (number !== ATTRIBUTE.floats) continue;
      // A list is packed, or a field of tag and four bytes each.
      const values = bytes.length > 0 ? bytes : raw.subarray(raw.length - 4);
      loose += checkFloats(values, FLOAT, name, name === MAY_BE_INFINITE);
    }
    count += loose;
  }
  return count;
}

function tensorWeights(tensor: Uint8Array, owner = ""): number {
  let type = 0;
  let count = 0;
  const data: Uint8Array[] = [];
  const loose: number[] = [];
  let name = owner;
  for (const { number, varint, bytes, raw } of wireFields(tensor)) {
    if (number === TENSOR.dataType) type = varint;
    else if (number === TENSOR.name) name = new TextDecoder().decode(bytes) || owner;
    else if (number === TENSOR.dataLocation && varint === EXTERNAL)
      throw new RoostError(
        "BAD_BUNDLE",
        `the weights of ${name || "a tensor"} are in a file of their own; save the model as one file`,
      );
    else if (number === TENSOR.raw) data.push(bytes);
    else if (number === TENSOR.floats || number === TENSOR.doubles)
      data.push(bytes.length > 0 ? bytes : raw.subarray(number === TENSOR.floats ? -4 : -8));
    else if (number === TENSOR.int32s) loose.push(...varints(bytes, varint));
  }
  const size = SIZES[type];
  if (size === undefined) return 0;
  // float16 outside raw data stands as varints of its bits.
  if (loose.length > 0) data.push(new Uint8Array(Uint16Array.from(loose).buffer));
  const total = data.reduce((sum, bytes) => sum + bytes.length, 0) / size;
  if (total <= 1) return 0;
  for (const bytes of data) count += checkFloats(bytes, type, name, false);
  return count;
}

const SIZES: Readonly<Record<number, number>> = {
  [FLOAT]: 4,
  [FLOAT16]: 2,
  [DOUBLE]: 8,
  [BFLOAT16]: 2,
};
/** Bits of the exponent: all set means infinite, or NaN when there is a mantissa. */
const EXPONENT_16: Readonly<Record<number, number>> = { [FLOAT16]: 0x7c00, [BFLOAT16]: 0x7f80 };

function checkFloats(
  bytes: Uint8Array,
  type: number,
  name: string,
  mayBeInfinite: boolean,
): number {
  const size = SIZES[type] as number;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const n = Math.floor(bytes.byteLength / size);
  if (type === FLOAT && allFinite(bytes)) return n;
  for (let i = 0; i < n; i++) {
    const value = valueAt(view, i * size, type);
    if (Number.isFinite(value) || (mayBeInfinite && !Number.isNaN(value))) continue;
    throw new RoostError(
      "BAD_BUNDLE",
      `weight ${i} of ${name || "a tensor"} is ${Number.isNaN(value) ? "NaN" : "infinite"}`,
    );
  }
  return n;
}

/** A pass of a nanosecond a weight: servers look at models of tens of millions between requests. */
function allFinite(bytes: Uint8Array): boolean {
  // A copy: the slice of a Buffer would be a view of the same memory.
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  const values = new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >> 2);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    // Infinite and NaN minus themselves are NaN.
    if (value - value !== 0) return false;
  }
  return true;
}

function valueAt(view: DataView, at: number, type: number): number {
  if (type === FLOAT) return view.getFloat32(at, true);
  if (type === DOUBLE) return view.getFloat64(at, true);
  const bits = view.getUint16(at, true);
  const exponent = EXPONENT_16[type] as number;
  if ((bits & exponent) !== exponent) return 0;
  return (bits & 0x7fff) === exponent ? Number.POSITIVE_INFINITY : Number.NaN;
}

/** A packed list of small varints, or one that stands alone. */
function varints(bytes: Uint8Array, alone: number): number[] {
  if (bytes.length === 0) return [alone];
  const values: number[] = [];
  let value = 0;
  let shift = 0;
  for (const byte of bytes) {
    value |= (byte & 0x7f) << shift;
    shift += 7;
    if (byte & 0x80) continue;
    values.push(value);
    value = 0;
    shift = 0;
  }
  return values;
}
