import type { ExperimentConfig } from "./config-schema.ts";

/** A ranking parameter that experiments may override. Bounds are inclusive. */
export interface ParameterSpec {
  readonly name: string;
  readonly kind: "number" | "integer" | "boolean" | "choice";
  readonly min?: number;
  readonly max?: number;
  /** The values of a `choice`. */
  readonly choices?: readonly string[];
}

/** What a configuration may override: handed in, since the table belongs to whoever serves. */
export interface Overridable {
  readonly parameters: readonly ParameterSpec[];
  /** Names of the heads that have weights. */
  readonly heads: readonly string[];
}

/** Why `value` does not fit the parameter, null when it does. */
export function misfit(spec: ParameterSpec, value: unknown): string | null {
  switch (spec.kind) {
    case "boolean":
      return typeof value === "boolean" ? null : "must be true or false";
    case "choice":
      return spec.choices?.includes(value as string)
        ? null
        : `must be one of ${spec.choices?.join(", ") ?? "nothing"}`;
    case "integer":
      return Number.isInteger(value) ? outside(spec, value as number) : "must be an integer";
    case "number":
      return Number.isFinite(value) ? outside(spec, value as number) : "must be a finite number";
  }
}

function outside(
  { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY }: ParameterSpec,
  value: number,
): string | null {
  return value < min || value > max ? `must lie in ${min} … ${max}` : null;
}

/** Prefix of a head weight among parameter names. */
const WEIGHTS = "weights";

/** Everything that the experiment's arms override, by owned name: parameters as they are, weights as `weights.<head>`. */
export function overriddenNames(experiment: ExperimentConfig): Set<string> {
  return new Set(
    experiment.variations.flatMap(({ parameters, weights }) => [
      ...Object.keys(parameters),
      ...Object.keys(weights).map((head) => `${WEIGHTS}.${head}`),
    ]),
  );
}

/** The names that a layer's entry stands for; empty when it is unknown. */
export function ownedNames(entry: string, known: Overridable): string[] {
  const weights = known.heads.map((head) => `${WEIGHTS}.${head}`);
  if (entry === WEIGHTS) return weights;
  const all = [...known.parameters.map(({ name }) => name), ...weights];
  return all.filter((name) => name === entry);
}
