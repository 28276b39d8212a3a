import { parseDocument } from "yaml";
import { HEADS } from "../../datasets/heads.ts";
import { RoostError } from "../../errors.ts";
import { type LoadedExperiments, loadExperiments } from "../../experiments/assignment/config.ts";
import type { Overridable } from "../../experiments/assignment/parameter-table.ts";
import { PARAMS, type Parameter } from "../params.ts";
import type { ConfigKind } from "./version-store.ts";

/** What an experiment's arm may override: every ranking parameter and every head's weight. */
const OVERRIDABLE: Overridable = {
  parameters: Object.entries(PARAMS as Record<string, Parameter>).map(
    ([name, { integer, min, max }]) => ({ name, kind: integer ? "integer" : "number", min, max }),
  ),
  heads: HEADS.map(({ name }) => name),
};

/** Experiments and layers as a versioned configuration, written in YAML. */
export const EXPERIMENTS_KIND: ConfigKind<LoadedExperiments> = {
  kind: "experiments",
  parse: (text, path) => {
    const document = parseDocument(text, { uniqueKeys: true });
    if (document.errors.length > 0)
      throw new RoostError(
        "BAD_CONFIG",
        `${path}: ${document.errors.map(({ message }) => message.split("\n")[0]).join("; ")}`,
      );
    try {
      return loadExperiments(document.toJS({ maxAliasCount: 10 }) ?? {}, OVERRIDABLE);
    } catch (error) {
      if (!(error instanceof RoostError)) throw error;
      throw new RoostError("BAD_CONFIG", `${path}: ${error.detail}`, error);
    }
  },
  checksum: ({ version }) => version,
};
