import { createHmac, timingSafeEqual } from "node:crypto";
import { InvalidRequest } from "../http/invalid-request.ts";

/** Where the next page of a stored ranking begins. */
export interface Cursor {
  readonly rankingId: string;
  /** Stored items before it. */
  readonly offset: number;
}

/** Whose ranking it is: part of what is signed, so a cursor works for nobody else. */
export interface CursorOwner {
  readonly userId: string;
  readonly product: string;
}

/** A cursor as opaque text: base64url(JSON) "." base64url(HMAC-SHA-256). Source: RFC 2104; RFC 4648, section 5. */
export function signCursor(cursor: Cursor, owner: CursorOwner, secret: string): string {
  const body = Buffer.from(JSON.stringify([cursor.rankingId, cursor.offset])).toString("base64url");
  return `${body}.${mac(body, owner, secret).toString("base64url")}`;
}

/**
 * Reads a cursor that `signCursor` made for this owner under this secret.
 * @throws BAD_REQUEST at /cursor for anything else
 */
export function readCursor(text: string, owner: CursorOwner, secret: string): Cursor {
  const [body = "", signature = "", ...more] = text.split(".");
  const expected = mac(body, owner, secret);
  const sent = Buffer.from(signature, "base64url");
  // Decoding skips what is not base64url, so equal bytes alone would let one cursor have many spellings.
  const spelled = sent.toString("base64url") === signature && more.length === 0;
  if (!spelled || sent.length !== expected.length || !timingSafeEqual(sent, expected)) {
    throw new InvalidRequest([
      { pointer: "/cursor", detail: "was not given out for this user and product" },
    ]);
  }
  const [rankingId, offset] = JSON.parse(Buffer.from(body, "base64url").toString()) as [
    string,
    number,
  ];
  return { rankingId, offset };
}

function mac(body: string, { userId, product }: CursorOwner, secret: string): Buffer {
  return createHmac("sha256", secret)
    .update(JSON.stringify(["cursor", body, userId, product]))
    .digest();
}
