import protobuf from "protobufjs";

/** ONNX element types. Source: onnx.proto, TensorProto.DataType. */
export const ONNX_TYPE = { float32: 1, int32: 6, int64: 7, bool: 9 } as const;

/** ONNX attribute types. Source: onnx.proto, AttributeProto.AttributeType. */
export const ONNX_ATTRIBUTE = {
  FLOAT: 1,
  INT: 2,
  STRING: 3,
  FLOATS: 6,
  INTS: 7,
  STRINGS: 8,
} as const;

const field = (type: string, id: number, repeated = false) => ({
  type,
  id,
  ...(repeated ? { rule: "repeated" } : {}),
});

/**
 * The part of onnx.proto (proto2, package onnx) that our models use; field numbers as published.
 * Source: github.com/onnx/onnx, onnx/onnx.proto (Apache-2.0).
 */
const root = protobuf.Root.fromJSON({
  nested: {
    onnx: {
      nested: {
        AttributeProto: {
          fields: {
            name: field("string", 1),
            f: field("float", 2),
            i: field("int64", 3),
            s: field("bytes", 4),
            floats: field("float", 7, true),
            ints: field("int64", 8, true),
            strings: field("bytes", 9, true),
            type: field("int32", 20),
          },
        },
        Dimension: {
          fields: { dimValue: field("int64", 1), dimParam: field("string", 2) },
        },
        TensorShapeProto: { fields: { dim: field("Dimension", 1, true) } },
        TensorTypeProto: {
          fields: { elemType: field("int32", 1), shape: field("TensorShapeProto", 2) },
        },
        TypeProto: { fields: { tensorType: field("TensorTypeProto", 1) } },
        ValueInfoProto: { fields: { name: field("string", 1), type: field("TypeProto", 2) } },
        TensorProto: {
          fields: {
            dims: field("int64", 1, true),
            dataType: field("int32", 2),
            name: field("string", 8),
            rawData: field("bytes", 9),
          },
        },
        NodeProto: {
          fields: {
            input: field("string", 1, true),
            output: field("string", 2, true),
            name: field("string", 3),
            opType: field("string", 4),
            attribute: field("AttributeProto", 5, true),
            domain: field("string", 7),
          },
        },
        GraphProto: {
          fields: {
            node: field("NodeProto", 1, true),
            name: field("string", 2),
            initializer: field("TensorProto", 5, true),
            input: field("ValueInfoProto", 11, true),
            output: field("ValueInfoProto", 12, true),
          },
        },
        OperatorSetIdProto: { fields: { domain: field("string", 1), version: field("int64", 2) } },
        ModelProto: {
          fields: {
            irVersion: field("int64", 1),
            producerName: field("string", 2),
            graph: field("GraphProto", 7),
            opsetImport: field("OperatorSetIdProto", 8, true),
          },
        },
      },
    },
  },
});
const ModelProto = root.lookupType("onnx.ModelProto");

export interface OnnxAttribute {
  readonly name: string;
  readonly type: number;
  readonly f?: number;
  readonly i?: number;
  readonly s?: Uint8Array;
  readonly floats?: readonly number[];
  readonly ints?: readonly number[];
  readonly strings?: readonly Uint8Array[];
}
export interface OnnxNode {
  readonly input: readonly string[];
  readonly output: readonly string[];
  readonly name: string;
  readonly opType: string;
  readonly domain: string;
  readonly attribute: readonly OnnxAttribute[];
}
export interface OnnxTensor {
  readonly dims: readonly number[];
  readonly dataType: number;
  readonly name: string;
  readonly rawData: Uint8Array;
}
export interface OnnxValueInfo {
  readonly name: string;
  readonly type: {
    readonly tensorType: {
      readonly elemType: number;
      /** Absent: inferred. */
      readonly shape?: { readonly dim: readonly { dimValue?: number; dimParam?: string }[] };
    };
  };
}
export interface OnnxModel {
  readonly irVersion: number;
  readonly producerName: string;
  readonly opsetImport: readonly { readonly domain: string; readonly version: number }[];
  readonly graph: {
    readonly name: string;
    readonly node: readonly OnnxNode[];
    readonly initializer: readonly OnnxTensor[];
    readonly input: readonly OnnxValueInfo[];
    readonly output: readonly OnnxValueInfo[];
  };
}

/** The protobuf bytes of a model. */
export function encodeOnnx(model: OnnxModel): Uint8Array {
  return ModelProto.encode(ModelProto.fromObject(model)).finish();
}

/** A model read back; 64-bit integers become numbers. */
export function decodeOnnx(bytes: Uint8Array): OnnxModel {
  return ModelProto.toObject(ModelProto.decode(bytes), {
    longs: Number,
    arrays: true,
    defaults: true,
  }) as unknown as OnnxModel;
}
