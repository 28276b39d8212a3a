import { encodeId, idDecoder } from "../../datasets/log/id-codec.ts";

/*
 * A post id as a sorted set's member: 11 characters of 6 bits, high bits first, of the id's complement. Redis orders equal scores
 * by member, so the complement makes a reversed range ascend by id. Eleven characters take the same 16 bytes of Redis' allocator as
 * eight raw bytes would, and text goes through the client a good deal faster than buffers do.
 */
const ALPHABET = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
const CODES = Uint8Array.from({ length: 128 }, (_, code) =>
  Math.max(0, ALPHABET.indexOf(String.fromCharCode(code))),
);
const low = new Uint32Array(1);
const high = new Uint32Array(1);
const decode = idDecoder();

/** @throws BAD_EVENT when `postId` is not an unsigned 64-bit integer in decimal */
export function postMember(postId: string): string {
  encodeId(postId, low, high, 0);
  const lo = ~(low[0] as number);
  const hi = ~(high[0] as number);
  return (
    digit(hi >>> 28) +
    digit(hi >>> 22) +
    digit(hi >>> 16) +
    digit(hi >>> 10) +
    digit(hi >>> 4) +
    digit((hi << 2) | (lo >>> 30)) +
    digit(lo >>> 24) +
    digit(lo >>> 18) +
    digit(lo >>> 12) +
    digit(lo >>> 6) +
    digit(lo)
  );
}

export function memberPost(member: string): string {
  const at = (i: number): number => CODES[member.charCodeAt(i)] as number;
  const middle = at(5);
  const hi =
    (at(0) << 28) | (at(1) << 22) | (at(2) << 16) | (at(3) << 10) | (at(4) << 4) | (middle >>> 2);
  const lo =
    ((middle & 3) << 30) | (at(6) << 24) | (at(7) << 18) | (at(8) << 12) | (at(9) << 6) | at(10);
  return decode(~lo >>> 0, ~hi >>> 0);
}

const digit = (bits: number): string => ALPHABET[bits & 63] as string;
