import { createHash, timingSafeEqual } from "node:crypto";
import { RoostError } from "../../errors.ts";

/** caller: may rank, send events and read weights. operator: may also override weights, force arms, explain, move versions. */
export type Role = "caller" | "operator";

/**
 * The role that an `Authorization` header gives. Without a configured token the level it guards is open:
 * that is for one machine, where the server listens on the loopback address.
 * @throws UNAUTHORIZED when a token is configured and the header holds none that is known
 */
export function authorize(
  header: string | undefined,
  tokens: { readonly apiToken?: string | undefined; readonly operatorToken?: string | undefined },
): Role {
  const { apiToken, operatorToken } = tokens;
  const sent = /^Bearer +([^\s]+)$/i.exec(header ?? "")?.[1];
  if (operatorToken !== undefined && sent !== undefined && equal(sent, operatorToken))
    return "operator";
  const anonymous: Role = operatorToken === undefined ? "operator" : "caller";
  if (apiToken === undefined) {
    if (header === undefined) return anonymous;
    // A token that nobody knows is a mistake worth telling, also where none is asked for.
    if (operatorToken !== undefined) throw new RoostError("UNAUTHORIZED", "unknown token");
    return anonymous;
  }
  if (sent !== undefined && equal(sent, apiToken)) return anonymous;
  throw new RoostError("UNAUTHORIZED", header === undefined ? "no token" : "unknown token");
}

/** Digests have one length, so the comparison takes equal time whatever was sent. */
function equal(a: string, b: string): boolean {
  return timingSafeEqual(
    createHash("sha256").update(a).digest(),
    createHash("sha256").update(b).digest(),
  );
}
