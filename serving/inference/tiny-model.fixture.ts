import { createHash } from "node:crypto";
import protobuf from "protobufjs";
import { random } from "../../datasets/random.ts";
import type { Bundle } from "../../features/bundle.ts";

/** The parts of onnx.proto3 that the models below need. */
const ONNX = protobuf
  .parse(
    `
  syntax = "proto3";
  message Attribute { string name = 1; int64 i = 3; int32 type = 20; }
  message Node { repeated string input = 1; repeated string output = 2; string op_type = 4; repeated Attribute attribute = 5; }
  message Tensor { repeated int64 dims = 1; int32 data_type = 2; string name = 8; bytes raw_data = 9; }
  message Dimension { int64 dim_value = 1; string dim_param = 2; }
  message Shape { repeated Dimension dim = 1; }
  message TensorType { int32 elem_type = 1; Shape shape = 2; }
  message Type { TensorType tensor_type = 1; }
  message Value { string name = 1; Type type = 2; }
  message Graph { repeated Node node = 1; string name = 2; repeated Tensor initializer = 5; repeated Value input = 11; repeated Value output = 12; }
  message Opset { string domain = 1; int64 version = 2; }
  message Model { int64 ir_version = 1; Graph graph = 7; repeated Opset opset_import = 8; }
`,
    { keepCase: true },
  )
  .root.lookupType("Model");

const FLOAT = 1;
const INT32 = 6;
const INT64 = 7;
const bytes = (data: Float32Array | BigInt64Array) => new Uint8Array(data.buffer);
const node = (op_type: string, input: string[], output: string) => ({
  op_type,
  input,
  output: [output],
});
const value = (name: string, elem_type: number, columns: number) => ({
  name,
  type: {
    tensor_type: { elem_type, shape: { dim: [{ dim_param: "n" }, { dim_value: columns }] } },
  },
});

export interface TinyModel {
  /** Row-major [d, heads]. */
  readonly weights: readonly number[];
  readonly bias: readonly number[];
  /** Row-major [buckets, heads], summed over the row's id buckets. */
  readonly table?: readonly number[];
  readonly idInputs?: number;
  /** How often the product is repeated (and added with factor 0) to make a run slow. */
  readonly idle?: number;
  /** Takes a missing feature for 0; otherwise NaN goes through. */
  readonly missingAsZero?: boolean;
}

/** outputs = features · weights + bias (+ Σ table[ids]) as an ONNX model. */
export function tinyOnnx({
  weights,
  bias,
  table,
  idInputs = 1,
  idle = 0,
  missingAsZero = false,
}: TinyModel): Uint8Array {
  const heads = bias.length;
  const d = weights.length / heads;
  const tensor = (name: string, dims: number[], data: readonly number[]) => ({
    name,
    dims,
    data_type: FLOAT,
    raw_data: bytes(Float32Array.from(data)),
  });
  const withIds = table !== undefined;
  const initializer: object[] = [
    tensor("weights", [d, heads], weights),
    tensor("bias", [heads], bias),
    ...(idle > 0 || missingAsZero ? [tensor("zero", [1], [0])] : []),
  ];
  const nodes = [
    ...(missingAsZero
      ? [
          node("IsNaN", ["features"], "missing"),
          node("Where", ["missing", "zero", "features"], "x"),
        ]
      : []),
    node("MatMul", [missingAsZero ? "x" : "features", "weights"], "product"),
    node("Add", ["product", "bias"], "z_0"),
  ];
  for (let i = 0; i < idle; i++) {
    nodes.push(node("Exp", [`z_${i}`], `e_${i}`), node("Mul", [`e_${i}`, "zero"], `o_${i}`));
    nodes.push(node("Add", [`z_${i}`, `o_${i}`], `z_${i + 1}`));
  }
  const z = `z_${idle}`;
  if (withIds) {
    initializer.push(tensor("table", [table.length / heads, heads], table), {
      name: "axis",
      dims: [1],
      data_type: INT64,
      raw_data: bytes(BigInt64Array.of(1n)),
    });
    nodes.push(node("Gather", ["table", "ids"], "looked_up"));
    nodes.push({
      ...node("ReduceSum", ["looked_up", "axis"], "summed"),
      attribute: [{ name: "keepdims", i: 0, type: 2 }],
    } as ReturnType<typeof node>);
    nodes.push(node("Add", [z, "summed"], "outputs"));
  } else nodes.push(node("Identity", [z], "outputs"));
  return ONNX.encode(
    ONNX.fromObject({
      ir_version: 8,
      opset_import: [{ domain: "", version: 17 }],
      graph: {
        name: "tiny",
        node: nodes,
        initializer,
        input: [value("features", FLOAT, d), ...(withIds ? [value("ids", INT32, idInputs)] : [])],
        output: [value("outputs", FLOAT, heads)],
      },
    }),
  ).finish();
}

const HEADS = ["favorite", "reply", "click"];

/** A bundle of that model; its version follows from the model's bytes. */
export function tinyBundle(tiny: TinyModel, model = tinyOnnx(tiny)): Bundle {
  const heads = HEADS.slice(0, tiny.bias.length);
  const checksum = createHash("sha256").update(model).digest("hex");
  return {
    model,
    manifest: {
      format: 1,
      kind: "heavy",
      version: checksum.slice(0, 16),
      features: Array.from({ length: tiny.weights.length / heads.length }, (_, i) => `x${i}`),
      schema_hash: "test",
      ids: tiny.table
        ? Array.from({ length: tiny.idInputs ?? 1 }, (_, i) => ({
            name: `id${i}`,
            buckets: Math.max(2, (tiny.table as readonly number[]).length / heads.length),
          }))
        : [],
      heads: heads.map((name) => ({ name, kind: "binary" })),
      calibration: heads.map(() => ({ kind: "platt", a: 1, b: 0 })),
      masked_heads: [],
      metrics: {},
      data: { source: "test", from_ms: 0, to_ms: 0, rows: 0, positives: {} },
      seed: 1,
      parameters: tiny.weights.length + tiny.bias.length,
      settings: {},
      checksum,
    },
  };
}

/** The same by hand, in float64. */
export function tinyOutputs(
  { weights, bias, table = [], idInputs = 1 }: TinyModel,
  features: Float32Array,
  ids: Int32Array,
  n: number,
): number[] {
  const heads = bias.length;
  const d = weights.length / heads;
  const outputs: number[] = [];
  for (let row = 0; row < n; row++) {
    for (let head = 0; head < heads; head++) {
      let z = bias[head] as number;
      for (let i = 0; i < d; i++)
        z += (features[row * d + i] as number) * (weights[i * heads + head] as number);
      if (table.length > 0)
        for (let i = 0; i < idInputs; i++)
          z += table[(ids[row * idInputs + i] as number) * heads + head] as number;
      outputs.push(z);
    }
  }
  return outputs;
}

/** Two heads over two features and two ids of three buckets. */
export const MODEL_WITH_IDS: TinyModel = {
  weights: [1, -2, 0.5, 0.25],
  bias: [0.1, -0.1],
  table: [0, 0, 10, 20, 30, 40],
  idInputs: 2,
};

/** The same n random rows for it each time. */
export function rowsWithIds(n: number): { features: Float32Array; ids: Int32Array } {
  const rnd = random(1, "rows with ids");
  return {
    features: Float32Array.from({ length: 2 * n }, () => rnd.next() - 0.5),
    ids: Int32Array.from({ length: 2 * n }, () => rnd.below(3)),
  };
}
