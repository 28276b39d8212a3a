import { RoostError } from "../../errors.ts";
import type { ConfigKind } from "./version-store.ts";

/** A kind whose texts are `name: number` lines. */
export const scales: ConfigKind<Readonly<Record<string, number>>> = {
  kind: "scales",
  parse(text, path) {
    const lines = text.split("\n").filter((line) => line !== "");
    const bad = lines.filter((line) => !/^\w+: \d+$/.test(line));
    if (bad.length > 0 || lines.length === 0) {
      throw new RoostError("BAD_CONFIG", bad.map((line) => `${path}: ${line}`).join("\n"));
    }
    return Object.fromEntries(
      lines.map((line) => line.split(": ")).map(([name, value]) => [name, Number(value)]),
    );
  },
};
