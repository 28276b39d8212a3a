/** A column of scores. */
export type ScoreColumn = Float32Array | Float64Array;

/** Below this many rows a comparison sort beats clearing 65,536 counters per pass. */
const RADIX_FROM = 20_000;

/**
 * Row numbers in descending order of score; equal scores keep their input order, −0 equals 0.
 * Scores must not be NaN (infinities are fine). 1 M rows take two counting passes for Float32, four for Float64.
 */
export function descendingOrder(scores: ScoreColumn): Uint32Array {
  const n = scores.length;
  const order = new Uint32Array(n);
  for (let i = 0; i < n; i++) order[i] = i;
  if (n < RADIX_FROM) {
    return order.sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b);
  }
  let rows = order;
  for (const digits of descendingDigits(scores)) rows = countingPass(rows, digits);
  return rows;
}

/** 16-bit digits, least significant first, whose ascending order is the descending order of the scores. */
function* descendingDigits(scores: ScoreColumn): Generator<Uint16Array> {
  const n = scores.length;
  // Adding 0 turns −0 into 0, so that both get the same bits.
  const bits = new Uint32Array(scores.map((score) => score + 0).buffer);
  const words = bits.length / n;
  const top = words - 1;
  const digits = new Uint16Array(n);
  for (let word = 0; word < words; word++) {
    for (const shift of [0, 16]) {
      for (let i = 0; i < n; i++) {
        const negative = (bits[i * words + top] as number) >>> 31 === 1;
        let value = bits[i * words + word] as number;
        // IEEE 754 bits of positive numbers ascend with the value, those of negative ones descend.
        if (!negative) value = word === top ? ~value & 0x7fffffff : ~value;
        digits[i] = value >>> shift;
      }
      yield digits;
    }
  }
}

function countingPass(rows: Uint32Array, digits: Uint16Array): Uint32Array<ArrayBuffer> {
  const next = new Uint32Array(65_536);
  for (let i = 0; i < digits.length; i++) (next[digits[i] as number] as number)++;
  let start = 0;
  for (let digit = 0; digit < next.length; digit++) {
    const count = next[digit] as number;
    next[digit] = start;
    start += count;
  }
  const sorted = new Uint32Array(rows.length);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    const digit = digits[row] as number;
    const place = next[digit] as number;
    sorted[place] = row;
    next[digit] = place + 1;
  }
  return sorted;
}
