import { createHash } from "node:crypto";
import type { Event } from "../events.ts";

/** Feeds on events and says what the stream was: sha256 over one JSON line per event. */
export function eventChecksum(): { add(event: Event): void; digest(): string } {
  const hash = createHash("sha256");
  let lines = "";
  return {
    add(event) {
      lines += `${JSON.stringify(event)}\n`;
      // Few large updates: a call into OpenSSL per event would cost more than the hashing.
      if (lines.length < 1 << 16) return;
      hash.update(lines);
      lines = "";
    },
    digest: () => hash.update(lines).digest("hex"),
  };
}
