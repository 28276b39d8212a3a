import { expect, test } from "vitest";
import { checkWeights } from "./check-weights.ts";
import { joined, wireField, wireVarint } from "./onnx-wire.ts";

/** Messages by hand, from the field numbers of onnx.proto. */
const text = (number: number, value: string) => wireField(number, new TextEncoder().encode(value));
const bytesOf = (data: Float32Array | Float64Array | Uint16Array) =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
const raw = (name: string, type: number, data: Float32Array | Float64Array | Uint16Array) =>
  joined([wireVarint(2, type), text(8, name), wireField(9, bytesOf(data))]);
const model = (...graphFields: Uint8Array[]) => wireField(7, joined(graphFields));
const initializer = (tensor: Uint8Array) => wireField(5, tensor);
const attribute = (name: string, ...fields: Uint8Array[]) =>
  wireField(1, wireField(5, joined([text(1, name), ...fields])));
const floats = (...values: number[]) => Float32Array.from(values);
const [FLOAT, INT64, FLOAT16, DOUBLE, BFLOAT16] = [1, 7, 10, 11, 16];
const { NaN: NAN, POSITIVE_INFINITY: INFINITE } = Number;

test("finite weights of every kind are counted; integers and single constants are no weights", () => {
  const weights = model(
    initializer(raw("a", FLOAT, floats(1, -2, 3.4e38))),
    initializer(raw("b", DOUBLE, Float64Array.of(1e300, 2))),
    initializer(raw("half", FLOAT16, Uint16Array.of(0x7bff, 0xfbff, 0))),
    initializer(raw("brain", BFLOAT16, Uint16Array.of(0x7f7f, 1))),
    initializer(raw("shape", INT64, Uint16Array.of(0xffff, 0xffff, 0xffff, 0xffff))),
    initializer(raw("mask", FLOAT, floats(-INFINITE))),
    initializer(joined([wireVarint(2, FLOAT), wireField(4, bytesOf(floats(1, 2)))])),
    attribute("value", wireField(5, raw("", FLOAT, floats(5, 6)))),
    attribute("target_weights", wireField(7, bytesOf(floats(1, 2, 3)))),
  );
  expect(checkWeights(weights)).toBe(3 + 2 + 3 + 2 + 2 + 2 + 3);
});

/** A float that is not packed: tag of wire type 5, four bytes. */
const unpacked = (number: number, value: number) =>
  joined([Uint8Array.of((number << 3) | 5), bytesOf(floats(value))]);

test.each([
  [
    "a NaN",
    initializer(raw("dense/kernel", FLOAT, floats(1, NAN))),
    /weight 1 of dense\/kernel is NaN/,
  ],
  ["an infinity", initializer(raw("w", FLOAT, floats(-INFINITE, 1))), /weight 0 of w is infinite/],
  ["a double NaN", initializer(raw("w", DOUBLE, Float64Array.of(1, NAN))), /of w is NaN/],
  ["a half NaN", initializer(raw("w", FLOAT16, Uint16Array.of(0, 0x7e00))), /of w is NaN/],
  ["a half infinity", initializer(raw("w", FLOAT16, Uint16Array.of(0, 0xfc00))), /infinite/],
  ["a brain NaN", initializer(raw("w", BFLOAT16, Uint16Array.of(0x7fc0, 0))), /of w is NaN/],
  [
    "a half NaN outside raw data",
    // 0x7e00 as a varint, in a packed list.
    initializer(
      joined([wireVarint(2, FLOAT16), text(8, "w"), wireField(5, Uint8Array.of(0, 0x80, 0xfc, 1))]),
    ),
    /of w is NaN/,
  ],
  [
    "a NaN in a list that is not packed",
    initializer(joined([wireVarint(2, FLOAT), text(8, "w"), unpacked(4, 1), unpacked(4, NAN)])),
    /of w is NaN/,
  ],
  [
    "a NaN in a constant",
    attribute("value", wireField(5, raw("", FLOAT, floats(NAN, 1)))),
    /of value is NaN/,
  ],
  [
    "a leaf that is NaN",
    attribute("target_weights", unpacked(7, 1), unpacked(7, NAN)),
    /target_weights is NaN/,
  ],
  ["a leaf that is infinite", attribute("target_weights", unpacked(7, INFINITE)), /infinite/],
  ["a threshold that is NaN", attribute("nodes_values", unpacked(7, NAN)), /nodes_values is NaN/],
  [
    "a NaN in a branch",
    attribute("then_branch", wireField(6, initializer(raw("inner", FLOAT, floats(NAN, 0))))),
    /of inner is NaN/,
  ],
  [
    "a NaN in a sparse tensor",
    wireField(15, wireField(1, raw("sparse", FLOAT, floats(NAN, 0)))),
    /of sparse is NaN/,
  ],
  [
    "weights outside the file",
    initializer(joined([text(8, "w"), wireVarint(14, 1)])),
    /w are in a file of their own/,
  ],
])("%s among the weights is refused by its name", (_, field, named) => {
  expect(() => checkWeights(model(field))).toThrow(named);
});

test("a threshold may be infinite", () => {
  expect(checkWeights(model(attribute("nodes_values", unpacked(7, INFINITE))))).toBe(1);
});

test("a NaN anywhere in a long tensor is found, wherever the tensor lies in the file", () => {
  const values = new Float32Array(5000).fill(0.5);
  for (const at of [0, 2500, 4999])
    for (const shift of [0, 1, 2, 3]) {
      const spoiled = values.slice();
      spoiled[at] = NAN;
      const name = "w".repeat(1 + shift);
      expect(() => checkWeights(model(initializer(raw(name, FLOAT, spoiled))))).toThrow(
        `weight ${at} of ${name} is NaN`,
      );
      expect(checkWeights(Buffer.from(model(initializer(raw(name, FLOAT, values)))))).toBe(5000);
    }
});

test("bytes that are no ONNX file are refused as such", () => {
  expect(() => checkWeights(Uint8Array.of(0x3a, 0xff, 0xff, 0xff))).toThrow(/no ONNX file/);
});
