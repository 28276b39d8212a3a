import { createHash } from "node:crypto";
import { random } from "../../datasets/random.ts";
import type { Bundle } from "../../features/bundle.ts";
import { POST_PART, TWO_TOWER } from "../../features/tower-bundle.ts";
import {
  POST_TOWER,
  type TowerInputs,
  towerColumns,
  towerIdColumns,
  towerSchemaHash,
  USER_TOWER,
} from "../../features/tower-inputs.ts";
import { tableRows } from "../../features/tower-table.ts";
import { tinyOnnx } from "./tiny-model.fixture.ts";

const DIMENSION = 8;
const BUCKETS = { topic: 31, language: 7, author: 61, post: 61 };

/** A pair of untrained linear towers that read everything that trained ones read. */
export function tinyTowers(seed: number): Bundle {
  const user = tower(seed, "user", USER_TOWER);
  const post = tower(seed, "post", POST_TOWER);
  const checksum = createHash("sha256").update(user.model).update(post.model).digest("hex");
  return {
    model: user.model,
    parts: { [POST_PART]: post.model },
    manifest: {
      format: 1,
      kind: TWO_TOWER,
      version: checksum.slice(0, 16),
      features: user.features,
      schema_hash: towerSchemaHash(),
      ids: user.ids,
      heads: Array.from({ length: DIMENSION }, (_, i) => ({ name: `v${i}`, kind: "continuous" })),
      calibration: [],
      masked_heads: [],
      metrics: {},
      data: { source: "test", from_ms: 0, to_ms: 0, rows: 0, positives: {} },
      seed,
      parameters: 0,
      settings: { buckets: BUCKETS, dense_parameters: { user: 1, post: 1 } },
      checksum,
      parts: { [POST_PART]: { features: post.features, ids: post.ids } },
    },
  } as unknown as Bundle;
}

function tower(seed: number, name: string, inputs: TowerInputs) {
  const rnd = random(seed, `tiny ${name} tower`);
  const rows = tableRows(BUCKETS);
  const features = towerColumns(inputs);
  const small = (n: number): number[] => Array.from({ length: n }, () => 0.01 * (rnd.next() - 0.5));
  // Of length 1 where nothing is known, as a session asks for.
  const bias = Array.from({ length: DIMENSION }, (_, i) => (i === 0 ? 1 : 0));
  const table = small(rows * DIMENSION).fill(0, 0, DIMENSION);
  const ids = towerIdColumns(inputs);
  return {
    model: tinyOnnx({
      weights: small(features.length * DIMENSION),
      bias,
      table,
      idInputs: ids.length,
      missingAsZero: true,
    }),
    features,
    ids: ids.map((id) => ({ name: id, buckets: rows })),
  };
}
