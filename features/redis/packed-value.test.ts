import fc from "fast-check";
import { expect, test } from "vitest";
import { HEADER_BYTES, packValue, readHeader, retoken, unpackValue } from "./packed-value.ts";
import { decodeRedo, encodeDropping, encodeRedo } from "./redo-record.ts";

const HEADER = { token: 4_294_967_295, position: 2 ** 48 - 1, timeMs: 1_763_766_000_123 };

const bits = (vector: Float64Array): string =>
  Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("hex");

test("vectors come back to the bit, however many of their numbers are 0", () => {
  // Any 64 bits: NaNs with payloads, −0 and denormals among them.
  const word = fc.oneof(
    { weight: 3, arbitrary: fc.constant(0n) },
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  );
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 300 }), fc.nat(7), (words, shift) => {
      const vector = new Float64Array(BigUint64Array.from(words).buffer);
      const value = packValue(vector, HEADER);
      const nonZero = words.filter((w) => w !== 0n).length;
      expect(value.length - HEADER_BYTES).toBe(
        Math.min(8 * words.length, Math.ceil(words.length / 8) + 8 * nonZero),
      );
      // Answers of a server stand anywhere in a buffer.
      const moved = Buffer.concat([Buffer.alloc(shift), value]).subarray(shift);
      expect(bits(unpackValue(moved, words.length) as Float64Array)).toBe(bits(vector));
      expect(readHeader(moved)).toEqual(HEADER);
    }),
  );
});

test("what is cut off, too long, deleted or of another version is no vector", () => {
  for (const vector of [
    new Float64Array(9).fill(1.5),
    Float64Array.of(0, 0, 3, 0, 0, 0, 0, 0, 4),
  ]) {
    const value = packValue(vector, HEADER);
    expect(unpackValue(value, 9)).toEqual(vector);
    expect(unpackValue(value, 20)).toBeUndefined();
    for (let cut = 0; cut < value.length; cut++)
      expect(unpackValue(value.subarray(0, cut), 9), String(cut)).toBeUndefined();
    expect(unpackValue(Buffer.concat([value, value]), 9)).toBeUndefined();
    if (vector[0] === 0) {
      // A bit too many and the bytes for it: slots that the vector does not have.
      const beyond = Buffer.concat([value, Buffer.alloc(8, 7)]);
      beyond[HEADER_BYTES + 1] = 0xff;
      expect(unpackValue(beyond, 9)).toBeUndefined();
      expect(unpackValue(value, 9)).toEqual(vector);
    }
    value[0] = 2;
    expect(unpackValue(value, 9)).toBeUndefined();
    expect(readHeader(value)).toBeUndefined();
  }
  expect(unpackValue(packValue(undefined, HEADER), 9)).toBeUndefined();
});

test("tokens, positions and times beyond their room are refused, not cut", () => {
  for (const wrong of [{ token: 2 ** 32 }, { position: 2 ** 48 }, { timeMs: -1 }])
    expect(() => packValue(undefined, { ...HEADER, ...wrong })).toThrow(RangeError);
});

test("a batch comes back as it was written, and is not one when cut off", () => {
  const entries = [
    { key: "p:é", value: packValue(new Float64Array(3).fill(2), HEADER) },
    { key: "p:", value: packValue(undefined, HEADER) },
  ];
  const record = encodeRedo(entries, { ...HEADER, token: 7 });
  const redo = decodeRedo(record);
  expect(redo).toEqual({ header: { ...HEADER, token: 7 }, dropping: false, entries });
  retoken(redo.entries[0]?.value as Buffer, 8);
  expect(readHeader(redo.entries[0]?.value as Buffer)).toEqual({ ...HEADER, token: 8 });
  expect(() => decodeRedo(record.subarray(0, record.length - 1))).toThrow(RangeError);
  expect(() => decodeRedo(Buffer.from("x"))).toThrow(RangeError);
  expect(decodeRedo(encodeDropping(HEADER))).toEqual({
    header: HEADER,
    dropping: true,
    entries: [],
  });
});
