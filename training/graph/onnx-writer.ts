import {
  encodeOnnx,
  ONNX_ATTRIBUTE,
  ONNX_TYPE,
  type OnnxAttribute,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValueInfo,
} from "./onnx-proto.ts";
import type { DType, Shape } from "./shape.ts";

/** Attribute values by name: numbers are integers, except in `{ float }` and `{ floats }`. */
export type AttributeValue =
  | number
  | readonly number[]
  | string
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | { readonly strings: readonly string[] };

export interface OnnxWriter {
  /** Adds a node. Attributes: a number is an INT, `{ float }` a FLOAT, a list INTS, a text STRING; lists accordingly. */
  node(
    opType: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes?: Readonly<Record<string, AttributeValue>>,
    domain?: string,
  ): void;
  /** A name that nothing else has. */
  fresh(): string;
  /** The name of a constant; equal small constants are stored once. */
  constant(data: Float32Array | Int32Array, dims: readonly number[]): string;
  /** The name of an int64 list, as shapes and axes are given. */
  int64s(values: readonly number[]): string;
  /** The name of an int64 of shape []. */
  int64(value: number): string;
}

/** Constants up to this many bytes are looked up before they are stored again. */
const SHARED_BYTES = 64;

/** Collects nodes, initialisers, inputs and outputs, and encodes them as one model. */
export class OnnxModelWriter implements OnnxWriter {
  readonly #nodes: OnnxNode[] = [];
  readonly #initialisers: OnnxTensor[] = [];
  readonly #inputs: OnnxValueInfo[] = [];
  readonly #outputs: OnnxValueInfo[] = [];
  readonly #shared = new Map<string, string>();
  #names = 0;

  node(
    opType: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    domain = "",
  ): void {
    this.#nodes.push({
      input: inputs,
      output: outputs,
      name: `${opType}_${this.#nodes.length}`,
      opType,
      domain,
      attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
    });
  }

  fresh(): string {
    return `v${this.#names++}`;
  }

  constant(data: Float32Array | Int32Array, dims: readonly number[]): string {
    const type = data instanceof Int32Array ? ONNX_TYPE.int32 : ONNX_TYPE.float32;
    return this.#store(bytesOf(data), type, dims);
  }

  int64s(values: readonly number[]): string {
    return this.#store(int64Bytes(values), ONNX_TYPE.int64, [values.length]);
  }

  int64(value: number): string {
    return this.#store(int64Bytes([value]), ONNX_TYPE.int64, []);
  }

  #store(rawData: Uint8Array, dataType: number, dims: readonly number[]): string {
    const key =
      rawData.length <= SHARED_BYTES ? `${dataType}|${dims}|${rawData.join()}` : undefined;
    const known = key === undefined ? undefined : this.#shared.get(key);
    if (known !== undefined) return known;
    const name = `c${this.#names++}`;
    this.#initialisers.push({ name, dataType, dims, rawData });
    if (key !== undefined) this.#shared.set(key, name);
    return name;
  }

  initialiser(name: string, data: Float32Array, dims: readonly number[]): void {
    this.#initialisers.push({ name, dataType: ONNX_TYPE.float32, dims, rawData: bytesOf(data) });
  }

  input(name: string, shape: Shape, dtype: DType): void {
    this.#inputs.push(valueInfo(name, shape, dtype));
  }

  output(name: string, shape: Shape, dtype: DType): void {
    this.#outputs.push(valueInfo(name, shape, dtype));
  }

  /** An output whose shape the runtime infers. */
  outputOfAnyShape(name: string): void {
    this.#outputs.push({ name, type: { tensorType: { elemType: ONNX_TYPE.float32 } } });
  }

  /**
   * The model: opset 18 of ONNX (axes of reductions are inputs), 1 of com.microsoft (fused ops of onnxruntime) and, with
   * trees in it, 3 of ai.onnx.ml.
   */
  encode(): Uint8Array {
    return encodeOnnx({
      irVersion: 9,
      producerName: "roost",
      opsetImport: [
        { domain: "", version: 18 },
        { domain: "com.microsoft", version: 1 },
        ...(this.#nodes.some(({ domain }) => domain === "ai.onnx.ml")
          ? [{ domain: "ai.onnx.ml", version: 3 }]
          : []),
      ],
      graph: {
        name: "roost",
        node: this.#nodes,
        initializer: this.#initialisers,
        input: this.#inputs,
        output: this.#outputs,
      },
    });
  }
}

function attribute(name: string, value: AttributeValue): OnnxAttribute {
  if (typeof value === "number") return { name, type: ONNX_ATTRIBUTE.INT, i: value };
  if (typeof value === "string")
    return { name, type: ONNX_ATTRIBUTE.STRING, s: new TextEncoder().encode(value) };
  if ("float" in value) return { name, type: ONNX_ATTRIBUTE.FLOAT, f: value.float };
  if ("floats" in value) return { name, type: ONNX_ATTRIBUTE.FLOATS, floats: value.floats };
  if ("strings" in value) {
    const strings = value.strings.map((text) => new TextEncoder().encode(text));
    return { name, type: ONNX_ATTRIBUTE.STRINGS, strings };
  }
  return { name, type: ONNX_ATTRIBUTE.INTS, ints: value };
}

function valueInfo(name: string, shape: Shape, dtype: DType): OnnxValueInfo {
  const dim = shape.map((size) => (size === "n" ? { dimParam: "n" } : { dimValue: size }));
  return { name, type: { tensorType: { elemType: ONNX_TYPE[dtype], shape: { dim } } } };
}

function bytesOf(data: Float32Array | Int32Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function int64Bytes(values: readonly number[]): Uint8Array {
  return new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
}
