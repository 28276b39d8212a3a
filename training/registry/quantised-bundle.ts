import { readManifest } from "../../datasets/dataset.ts";
import { datasetSplit } from "../../datasets/split.ts";
import { RoostError } from "../../errors.ts";
import { type Bundle, type BundleManifest, idBucket } from "../../features/bundle.ts";
import { checkBundle } from "../../features/check-bundle.ts";
import type { IdColumn } from "../../features/registry.ts";
import { rowsBetween } from "../../features/replay.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { datasetRows } from "../dataset-rows.ts";
import { probeOnnx } from "../onnx/probe-onnx.ts";
import { quantiseOnnx, type SampleRows } from "../onnx/quantise-onnx.ts";
import { copyFeatures, featureColumns, isWhole } from "../trainers/row-columns.ts";
import { evenSample } from "../trainers/validation-loss.ts";
import { measureBundle } from "./measure-bundle.ts";

export interface QuantiseRequest {
  readonly bundle: Bundle;
  readonly data: string;
  /** Rows before the validation rows that scales are taken from, evenly over time. */
  readonly rows: number;
  readonly seed: number;
  /** Bootstrap resamples of each metric. */
  readonly rounds: number;
}

export interface QuantisedBundle {
  readonly model: Uint8Array;
  readonly manifest: Omit<BundleManifest, "version" | "checksum">;
}

/**
 * The 8-bit form of a bundle, measured on the rows that the bundle was measured on. Calibration and features are the
 * bundle's own.
 * @throws BAD_ARGUMENT for a bundle of several models
 * @throws BAD_BUNDLE when its features are not those of this registry, or it has nothing to quantise
 * @throws BAD_DATASET when there is no data set in `data`, or no rows before the validation rows
 */
export async function quantisedBundle(request: QuantiseRequest): Promise<QuantisedBundle> {
  const { bundle, data, seed, rounds } = request;
  const { version, checksum: _checksum, ...parent } = bundle.manifest;
  checkBundle(bundle.manifest);
  if (parent.parts !== undefined)
    throw new RoostError(
      "BAD_ARGUMENT",
      `${parent.kind} ${version} has several models; only rankers are quantised`,
    );
  const dataset = readManifest(data);
  const { validation } = parent;
  const range = validation
    ? { fromMs: validation.from_ms, toMs: validation.to_ms + 1 }
    : datasetSplit(dataset).validation;
  const all = await datasetRows(data, dataset, {
    features: parent.features,
    ids: parent.ids.map(({ name }) => name as IdColumn),
    toMs: range.toMs,
  });
  const before = rowsBetween(all, dataset.from_ms, range.fromMs);
  if (before.n === 0)
    throw new RoostError("BAD_DATASET", `${data} has no rows before the validation rows`);
  const { model, products } = await quantiseOnnx(
    bundle.model,
    sampleOf(before, parent, request.rows),
  );
  await probeOnnx(model, parent);
  const { written_checksum: _written, ...settings } = parent.settings;
  const manifest = {
    ...parent,
    settings: { ...settings, quantised: { from: version, bits: 8, products, rows: request.rows } },
  };
  const rows = rowsBetween(all, range.fromMs, range.toMs);
  return { model, manifest: await measureBundle(model, manifest, rows, { seed, rounds }) };
}

/** Rows as the bundle's model reads them. */
function sampleOf(
  rows: TrainingRows,
  { features, ids }: Pick<BundleManifest, "features" | "ids">,
  limit: number,
): SampleRows {
  const picked = evenSample(rows.n, limit);
  const columns = featureColumns(rows, features);
  const whole = isWhole(rows, columns);
  const idColumns = ids.map(({ name }) => rows.idNames.indexOf(name));
  const sample = {
    n: picked.length,
    features: new Float32Array(picked.length * columns.length),
    ids: new Int32Array(picked.length * ids.length),
  };
  picked.forEach((row, i) => {
    copyFeatures(rows, row, columns, whole, sample.features, i * columns.length);
    ids.forEach(({ buckets }, c) => {
      const hash = rows.ids[row * rows.idNames.length + (idColumns[c] as number)] as number;
      sample.ids[i * ids.length + c] = idBucket(hash, buckets);
    });
  });
  return sample;
}
