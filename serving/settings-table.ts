import { z } from "zod";
import { fileKey, flagOf, SETTING_NAMES, SettingsSchema, variableOf } from "./settings.ts";

interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
}

/** `docs/settings.md`: every deployment setting, written from the schema. */
export function settingsTable(): string {
  const { properties } = z.toJSONSchema(SettingsSchema, { target: "draft-7", io: "input" });
  const rows = SETTING_NAMES.map((name) => {
    const schema = properties?.[name] as JsonSchema;
    const standard = schema.default === undefined ? "not set" : `\`${schema.default}\``;
    return `| \`${fileKey(name)}\` | \`${variableOf(name)}\` | \`${flagOf(name)}\` | ${standard} | ${takes(schema)} | ${schema.description} |`;
  });
  return `# Settings

Deployment settings come from four places; the later one wins: defaults, the file, the environment, flags.
The file is \`roost.yaml\` in the working directory, or what \`ROOST_CONFIG\` names. An unknown name is an error, and all errors are told before the port opens.
Ranking parameters are no settings: they stand in \`serving/params.ts\`, where experiments can override them.

| in the file | in the environment | flag | default | takes | what for |
|---|---|---|---|---|---|
${rows.join("\n")}

In Kubernetes, set \`enableServiceLinks: false\` on the pod if its service is called \`roost\`: the links set \`ROOST_PORT\` to an address.
`;
}

function takes({ enum: names, type, minimum, maximum, minLength }: JsonSchema): string {
  if (names !== undefined) return names.map((name) => `\`${name}\``).join(", ");
  if (type === "integer") return `${minimum}–${maximum}`;
  return minLength !== undefined && minLength > 1 ? `text of ≥ ${minLength} characters` : "text";
}
