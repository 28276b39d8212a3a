import { RoostError } from "../../errors.ts";
import type { BundleManifest } from "../../features/bundle.ts";

/** What keeps the loaded model from being run as its manifest says. */
export function signatureProblem(
  inputs: readonly string[],
  outputs: readonly string[],
  manifest: BundleManifest,
): string | undefined {
  const expected = manifest.ids.length > 0 ? ["features", "ids"] : ["features"];
  const missing = expected.filter((name) => !inputs.includes(name));
  const extra = inputs.filter((name) => !expected.includes(name));
  if (missing.length > 0) return `the model has no input ${missing.join(", ")}`;
  if (extra.length > 0) return `the model asks for an input ${extra.join(", ")}`;
  return outputs.includes("outputs") ? undefined : "the model has no output named outputs";
}

/** @throws COLUMN_LENGTH when the matrices are not the manifest's for n rows */
export function checkMatrices(
  { features: names, ids: idInputs }: BundleManifest,
  features: Float32Array,
  ids: Int32Array,
  n: number,
): void {
  const d = names.length;
  const k = idInputs.length;
  if (features.length !== n * d)
    throw new RoostError("COLUMN_LENGTH", `${features.length} features, not ${n}×${d}`);
  if (ids.length !== n * k)
    throw new RoostError("COLUMN_LENGTH", `${ids.length} ids, not ${n}×${k}`);
}

/** @throws COLUMN_LENGTH when a run of n rows did not give one value for each head */
export function checkOutputs(
  { heads }: Pick<BundleManifest, "heads">,
  length: number,
  n: number,
): void {
  if (length !== n * heads.length)
    throw new RoostError(
      "COLUMN_LENGTH",
      `the model gives ${length / n} values a row, not one for each of ${heads.length} heads`,
    );
}
