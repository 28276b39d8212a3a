import { RoostError } from "../errors.ts";
import type { BundleManifest } from "./bundle.ts";
import { schemaHash, unknownFeatures } from "./registry.ts";
import { checkTowers, TWO_TOWER } from "./tower-bundle.ts";

/**
 * Refuses a model whose inputs this registry cannot give as they were when it was trained.
 * @throws BAD_BUNDLE naming the features that are unknown, or saying that their definitions have changed
 */
export function checkBundle(manifest: BundleManifest): void {
  const { kind, version, features, ids, schema_hash } = manifest;
  if (kind === TWO_TOWER) {
    checkTowers(manifest);
    return;
  }
  const idNames = ids.map(({ name }) => name);
  const unknown = unknownFeatures(features, idNames);
  if (unknown.length > 0)
    throw new RoostError(
      "BAD_BUNDLE",
      `${kind} ${version} needs unknown features: ${unknown.join(", ")}`,
    );
  if (schemaHash(features, idNames) !== schema_hash)
    throw new RoostError(
      "BAD_BUNDLE",
      `${kind} ${version} was trained on other feature definitions`,
    );
}
