import { z } from "zod";
import { RoostError } from "../errors.ts";
import type { Bundle, BundleManifest } from "./bundle.ts";
import {
  POST_TOWER,
  type TowerInputs,
  towerColumns,
  towerIdColumns,
  towerSchemaHash,
  USER_TOWER,
} from "./tower-inputs.ts";
import type { TowerBuckets } from "./tower-table.ts";

/** The stage and kind of retrieval: the user tower is the bundle's model, the post tower its part `post_tower`. */
export const TWO_TOWER = "two_tower";
export const POST_PART = "post_tower";

const Count = z.int().min(1);
/** What the trainer says of the towers in a bundle's settings. */
const Settings = z.object({
  buckets: z.strictObject({ topic: Count, language: Count, author: Count, post: Count }),
  /** Weights that every vector takes part in, the table of embeddings not counted. */
  dense_parameters: z.object({ user: Count, post: Count }),
});

/** One tower, as a bundle that holds nothing else. */
export interface Tower {
  readonly bundle: Bundle;
  readonly inputs: TowerInputs;
  readonly buckets: TowerBuckets;
  readonly denseParameters: number;
}

/** @throws BAD_BUNDLE when a manifest is not of two towers that read what this program's readers give */
export function checkTowers(manifest: BundleManifest): z.infer<typeof Settings> {
  const { kind, version, schema_hash, parts } = manifest;
  const refuse = (detail: string): never => {
    throw new RoostError("BAD_BUNDLE", `${kind} ${version}: ${detail}`);
  };
  if (kind !== TWO_TOWER) refuse("is no pair of towers");
  const post = parts?.[POST_PART] ?? refuse(`lacks the part ${POST_PART}`);
  const known = (
    { features, ids }: Pick<BundleManifest, "features" | "ids">,
    inputs: TowerInputs,
  ): boolean =>
    features.join() === towerColumns(inputs).join() &&
    ids.map(({ name }) => name).join() === towerIdColumns(inputs).join();
  if (schema_hash !== towerSchemaHash() || !known(manifest, USER_TOWER) || !known(post, POST_TOWER))
    refuse("was trained on other feature definitions");
  const settings = Settings.safeParse(manifest.settings);
  return settings.success ? settings.data : refuse(z.prettifyError(settings.error));
}

/** Both towers of a bundle. @throws BAD_BUNDLE as `checkTowers` */
export function towersOf({ manifest, model, parts = {} }: Bundle): { user: Tower; post: Tower } {
  const { buckets, dense_parameters: dense } = checkTowers(manifest);
  const { [POST_PART]: described } = manifest.parts ?? {};
  const { parts: _, ...own } = manifest;
  return {
    user: {
      bundle: { manifest: own, model },
      inputs: USER_TOWER,
      buckets,
      denseParameters: dense.user,
    },
    post: {
      bundle: { manifest: { ...own, ...described }, model: parts[POST_PART] as Uint8Array },
      inputs: POST_TOWER,
      buckets,
      denseParameters: dense.post,
    },
  };
}
