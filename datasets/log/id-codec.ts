import { RoostError } from "../../errors.ts";

const TWO_32 = 0x100000000;

/**
 * Writes a decimal id as two 32-bit halves at `index`; BigInt would cost more than the rest of the row.
 * @throws BAD_EVENT when `id` is not an unsigned 64-bit integer in decimal
 */
export function encodeId(id: string, low: Uint32Array, high: Uint32Array, index: number): void {
  const n = id.length;
  if (n <= 15) {
    const value = digits(id, 0, n);
    low[index] = value % TWO_32;
    high[index] = value / TWO_32;
    return;
  }
  if (n > 20 || (n === 20 && id > "18446744073709551615"))
    throw new RoostError("BAD_EVENT", `id "${id}" is not below 2^64`);
  // value = head · 10^9 + tail, carried in 16-bit steps so that every product stays below 2^53.
  const head = digits(id, 0, n - 9);
  const tail = digits(id, n - 9, n);
  const upper = Math.floor(head / 0x10000) * 1e9; // · 2^16
  const lower = (head % 0x10000) * 1e9 + tail;
  const sum = (upper % 0x10000) * 0x10000 + lower;
  low[index] = sum % TWO_32;
  high[index] = Math.floor(upper / 0x10000) + Math.floor(sum / TWO_32);
}

function digits(id: string, from: number, to: number): number {
  let value = 0;
  for (let i = from; i < to; i++) {
    const digit = id.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9)
      throw new RoostError("BAD_EVENT", `id "${id}" is not a decimal integer`);
    value = value * 10 + digit;
  }
  if (to === from) throw new RoostError("BAD_EVENT", "an id is empty");
  return value;
}

/**
 * Turns halves back into decimal strings. Keeps a direct-mapped cache, so that the rows of one user share one
 * string: faster than formatting, and equal ids are then mostly the same object in memory.
 */
export function idDecoder(slots = 1 << 16): (low: number, high: number) => string {
  const lows = new Uint32Array(slots);
  const highs = new Uint32Array(slots);
  const texts: (string | undefined)[] = new Array(slots).fill(undefined);
  const mask = slots - 1;
  return (low, high) => {
    const slot = (Math.imul(low ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1) >>> 12) & mask;
    const cached = texts[slot];
    if (cached !== undefined && lows[slot] === low && highs[slot] === high) return cached;
    const text =
      high < 0x200000
        ? String(high * TWO_32 + low)
        : ((BigInt(high) << 32n) | BigInt(low)).toString();
    lows[slot] = low;
    highs[slot] = high;
    texts[slot] = text;
    return text;
  };
}
