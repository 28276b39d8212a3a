import { z } from "zod";

/** The first millisecond of our snowflake ids: 2020-01-01T00:00:00Z. */
export const SNOWFLAKE_EPOCH_MS = Date.UTC(2020, 0, 1);

/** A snowflake id: milliseconds since the epoch in the high bits, `sequence` (0–4,194,303) in the low 22. */
export function snowflake(timeMs: number, sequence: number): string {
  return ((BigInt(timeMs - SNOWFLAKE_EPOCH_MS) << 22n) | BigInt(sequence)).toString();
}

/** An id on the wire: an unsigned 64-bit integer as a decimal string without leading zeros. */
export const Id = z
  .string()
  .regex(/^(0|[1-9][0-9]{0,19})$/, "must be an unsigned 64-bit integer as a decimal string")
  .refine((text) => text.length < 20 || (text.length === 20 && text <= "18446744073709551615"), {
    message: "must be below 2^64",
  });

/** Ascending order of decimal ids without parsing them: shorter first, then by digits. */
export function compareIds(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}
