/**
 * A vector as Redis keeps it: a header of 18 bytes (version, form, fencing token of the writer as u32, position of the batch
 * as u48, time of the write in ms as u48, little-endian) and the float64 bytes, all of them or, where that is shorter, a bit
 * for each slot and the bytes of those that are not 0. The Lua scripts of `scripts.ts` read the header too.
 */
export interface PackedHeader {
  readonly token: number;
  readonly position: number;
  readonly timeMs: number;
}

export const HEADER_BYTES = 18;
const VERSION = 1;
const TOKEN_AT = 2;
const POSITION_AT = 6;
const TIME_AT = 12;
const FORM = { deleted: 0, dense: 1, sparse: 2 } as const;

/** @throws RangeError for a token ≥ 2^32 or a position or time ≥ 2^48 */
export function writeHeader(into: Buffer, form: number, header: PackedHeader): void {
  into[0] = VERSION;
  into[1] = form;
  into.writeUInt32LE(header.token, TOKEN_AT);
  into.writeUIntLE(header.position, POSITION_AT, 6);
  into.writeUIntLE(header.timeMs, TIME_AT, 6);
}

/** The header of a value; undefined for what is no value of this version. */
export function readHeader(value: Buffer): PackedHeader | undefined {
  if (value.length < HEADER_BYTES || value[0] !== VERSION) return undefined;
  return {
    token: value.readUInt32LE(TOKEN_AT),
    position: value.readUIntLE(POSITION_AT, 6),
    timeMs: value.readUIntLE(TIME_AT, 6),
  };
}

/** Puts another token into a value. */
export function retoken(value: Buffer, token: number): void {
  value.writeUInt32LE(token, TOKEN_AT);
}

/** @param vector undefined for a deleted one: its header stays for a while, so that an older write does not bring it back */
export function packValue(vector: Float64Array | undefined, header: PackedHeader): Buffer {
  if (vector === undefined) {
    const value = Buffer.allocUnsafe(HEADER_BYTES);
    writeHeader(value, FORM.deleted, header);
    return value;
  }
  const words = new Uint32Array(vector.buffer, vector.byteOffset, 2 * vector.length);
  // By bits, not by value: −0 is kept.
  let kept = 0;
  for (let i = 0; i < words.length; i += 2)
    if ((words[i] as number) | (words[i + 1] as number)) kept++;
  const bitmap = bitmapBytes(vector.length);
  const sparse = bitmap + 8 * kept < vector.byteLength;
  const body = sparse ? bitmap + 8 * kept : vector.byteLength;
  const value = Buffer.allocUnsafe(HEADER_BYTES + body);
  writeHeader(value, sparse ? FORM.sparse : FORM.dense, header);
  const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
  if (!sparse) {
    value.set(bytes, HEADER_BYTES);
    return value;
  }
  value.fill(0, HEADER_BYTES, HEADER_BYTES + bitmap);
  let at = HEADER_BYTES + bitmap;
  for (let i = 0; i < vector.length; i++) {
    if (!((words[2 * i] as number) | (words[2 * i + 1] as number))) continue;
    const place = HEADER_BYTES + (i >> 3);
    value[place] = (value[place] as number) | (1 << (i & 7));
    for (let b = 0; b < 8; b++) value[at++] = bytes[8 * i + b] as number;
  }
  return value;
}

/** The vector of `slots` numbers to the bit; undefined for a deleted one and for what is no value of this version and length. */
export function unpackValue(value: Buffer, slots: number): Float64Array | undefined {
  if (value.length <= HEADER_BYTES || value[0] !== VERSION) return undefined;
  const body = value.length - HEADER_BYTES;
  if (value[1] === FORM.dense) {
    if (body !== 8 * slots) return undefined;
    const vector = new Float64Array(slots);
    new Uint8Array(vector.buffer).set(value.subarray(HEADER_BYTES));
    return vector;
  }
  const bitmap = bitmapBytes(slots);
  if (value[1] !== FORM.sparse || body < bitmap) return undefined;
  const view = viewOf(value);
  const end = value.byteOffset + value.length;
  let at = value.byteOffset + HEADER_BYTES + bitmap;
  if (slab.length - used < slots) renew(slots);
  const begin = used;
  for (let b = 0; b < bitmap; b++) {
    let bits = value[HEADER_BYTES + b] as number;
    for (let word = 2 * begin + 16 * b; bits !== 0; bits >>= 1, word += 2) {
      if ((bits & 1) === 0) continue;
      if (at + 8 > end || word >= 2 * (begin + slots)) return discard(begin, slots);
      slabWords[word] = view.getUint32(at, true);
      slabWords[word + 1] = view.getUint32(at + 4, true);
      at += 8;
    }
  }
  if (at !== end) return discard(begin, slots);
  used += slots;
  return slab.subarray(begin, begin + slots);
}

const bitmapBytes = (slots: number): number => (slots + 7) >> 3;

/**
 * Vectors are cut from small buffers: one of its own for each costs more time than its numbers, and a large one would stay as
 * long as any of its vectors.
 */
const SLAB = 512;
let slab = new Float64Array(0);
let slabWords = new Uint32Array(0);
let used = 0;

function renew(slots: number): void {
  slab = new Float64Array(Math.max(SLAB, slots));
  slabWords = new Uint32Array(slab.buffer);
  used = 0;
}

/** What was begun for a value that is none is wiped: the next vector begins with zeros. */
function discard(begin: number, slots: number): undefined {
  slab.fill(0, begin, begin + slots);
  return undefined;
}

/** Answers of one read stand in one buffer. */
let lastView: DataView = new DataView(new ArrayBuffer(0));
function viewOf(value: Buffer): DataView {
  if (lastView.buffer !== value.buffer) lastView = new DataView(value.buffer);
  return lastView;
}
