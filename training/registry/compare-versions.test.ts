import { expect, test } from "vitest";
import { auc } from "../../experiments/metrics/auc.ts";
import { type BundleManifest, type Calibration, calibrate } from "../../features/bundle.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { ELEMENT, foreignModel, writeDense } from "../onnx/foreign-models.fixture.ts";
import { plantedRows } from "../trainers/planted-rows.ts";
import { bundlePredictions } from "./bundle-predictions.ts";
import { compareManifests, comparePaired } from "./compare-versions.ts";
import { measureBundle } from "./measure-bundle.ts";
import { measuredRows } from "./measured-rows.ts";

const rows = plantedRows({
  n: 6000,
  features: 3,
  heads: [
    { name: "click", truth: (x) => 1.5 * (x[0] as number) - 1 },
    { name: "favorite", truth: (x) => (x[1] as number) - 2 },
    { name: "dwell_seconds", kind: "continuous", truth: () => 10 },
  ],
  seed: 3,
});

/** click = x0 + noise·x2, favorite = x1, in the order favorite, click; features in the order x2, x1, x0. */
function bundle(noise: number, calibration?: Calibration[]) {
  const model = foreignModel(
    [{ name: "features", type: ELEMENT.float32, shape: ["n", 3] }],
    [{ name: "outputs", type: ELEMENT.float32, shape: ["n", 2] }],
    (writer) => writeDense(writer, ["features", "outputs"], [0, noise, 1, 0, 0, 1.5], [-2, -1]),
  );
  const manifest: Omit<BundleManifest, "version" | "checksum"> = {
    format: 1,
    kind: "heavy",
    features: ["x2", "x1", "x0"],
    schema_hash: "test",
    ids: [],
    heads: [
      { name: "favorite", kind: "binary" },
      { name: "click", kind: "binary" },
    ],
    calibration: calibration ?? [
      { kind: "platt", a: 1, b: 0 },
      { kind: "platt", a: 1, b: 0 },
    ],
    masked_heads: [],
    metrics: {},
    data: { source: "test", from_ms: 0, to_ms: 0, rows: 0, positives: {} },
    seed: 1,
    parameters: 8,
    settings: {},
  };
  return { model, manifest: { ...manifest, version: "0".repeat(16), checksum: "" } };
}

test("predictions stand in the rows' order of heads, calibrated; a head that the bundle lacks is NaN, a masked one 0", async () => {
  const platt: Calibration = { kind: "platt", a: 2, b: 0.5 };
  const { model, manifest } = bundle(0.3, [platt, { kind: "platt", a: 1, b: 0 }]);
  const got = await bundlePredictions({ model, manifest }, rows);
  const sigmoid = (z: number): number => 1 / (1 + Math.exp(-z));
  for (const row of [0, 1, 2047, 2048, 5999]) {
    const [x0, x1, x2] = rows.features.subarray(row * 3, row * 3 + 3) as unknown as [
      number,
      number,
      number,
    ];
    expect(got[row * 3]).toBeCloseTo(sigmoid(1.5 * x0 + 0.3 * x2 - 1), 5);
    expect(got[row * 3 + 1]).toBeCloseTo(calibrate(platt, x1 - 2), 5);
    expect(got[row * 3 + 2]).toBeNaN();
  }
  const masked = { ...manifest, masked_heads: ["click"] };
  expect((await bundlePredictions({ model, manifest: masked }, rows))[0]).toBe(0);
});

test("a measured bundle has the metrics of its heads on the rows, and says which rows they were", async () => {
  const { model, manifest } = bundle(0);
  const measured = await measureBundle(model, manifest, rows, { seed: 1, rounds: 30 });
  expect(Object.keys(measured.metrics).sort()).toEqual(["click", "favorite"]);
  const column = (values: Float32Array, h: number) =>
    Float32Array.from({ length: rows.n }, (_, row) => values[row * 3 + h] as number);
  const predictions = await bundlePredictions({ model, manifest }, rows);
  expect(measured.metrics.click?.auc?.value).toBeCloseTo(
    auc({ scores: column(predictions, 0), labels: column(rows.labels, 0) }),
    10,
  );
  expect(measured.validation).toEqual(measuredRows(rows));
  expect(measured.validation?.positives.click).toBe(
    column(rows.labels, 0).reduce((sum, label) => sum + label, 0),
  );
});

test("the same rows have the same checksum, whatever features stand in them; other labels or viewers do not", () => {
  const { checksum } = measuredRows(rows);
  const changed = (more: Partial<TrainingRows>): string =>
    measuredRows({ ...rows, ...more }).checksum;
  expect(changed({ features: new Float32Array(0), featureNames: [] })).toBe(checksum);
  const labels = rows.labels.slice();
  labels[0] = 1 - (labels[0] as number);
  expect(changed({ labels })).not.toBe(checksum);
  expect(changed({ userIds: rows.userIds.with(5, "other") })).not.toBe(checksum);
  expect(changed({ timeMs: rows.timeMs.map((ms) => ms + 1) })).not.toBe(checksum);
  expect(() => measuredRows({ ...rows, n: 0 })).toThrow(/no rows/);
});

const own = (value: number, low: number, high: number, checksum = "same"): BundleManifest =>
  ({
    metrics: { click: { auc: { value, low, high } } },
    validation: { checksum },
  }) as unknown as BundleManifest;

test("without the rows, overlapping intervals are noise and others a verdict in the metric's direction", () => {
  const verdict = (a: BundleManifest, b: BundleManifest) =>
    compareManifests(a, b).metrics[0]?.verdict;
  expect(verdict(own(0.7, 0.68, 0.72), own(0.73, 0.71, 0.75))).toBe("noise");
  expect(verdict(own(0.7, 0.68, 0.72), own(0.75, 0.73, 0.77))).toBe("better");
  expect(verdict(own(0.75, 0.73, 0.77), own(0.7, 0.68, 0.72))).toBe("worse");
  const as = (metric: string, { metrics, ...rest }: BundleManifest): BundleManifest =>
    ({ ...rest, metrics: { click: { [metric]: metrics.click?.auc } } }) as BundleManifest;
  const [low, high] = [own(0.7, 0.68, 0.72), own(0.75, 0.73, 0.77)];
  expect(verdict(as("normalized_entropy", low), as("normalized_entropy", high))).toBe("worse");
  expect(verdict(as("calibration_ratio", low), as("calibration_ratio", own(1.1, 1, 1.2)))).toBe(
    "better",
  );
  expect(verdict(as("calibration_ratio", low), as("calibration_ratio", own(1.5, 1.4, 1.6)))).toBe(
    "worse",
  );
});

test("measured on other rows, every verdict is noise and it is said", () => {
  const comparison = compareManifests(own(0.7, 0.68, 0.72), own(0.8, 0.78, 0.82, "other"));
  expect(comparison).toMatchObject({ same_rows: false, metrics: [{ verdict: "noise" }] });
});

test("paired intervals tell a difference that single ones cannot: only the head that was spoiled is worse", async () => {
  const options = { seed: 1, rounds: 60 };
  const [a, b] = [bundle(0), bundle(0.4)];
  const paired = await comparePaired(a, b, rows, options);
  expect(paired).toMatchObject({ same_rows: true, paired: true });
  const [clickAuc, , favoriteAuc] = paired.metrics;
  expect(clickAuc).toMatchObject({ head: "click", metric: "auc", verdict: "worse" });
  expect(favoriteAuc).toMatchObject({
    head: "favorite",
    verdict: "noise",
    difference: { value: 0 },
  });
  const [before, after] = [
    await measureBundle(a.model, a.manifest, rows, options),
    await measureBundle(b.model, b.manifest, rows, options),
  ] as BundleManifest[];
  const single = compareManifests(before as BundleManifest, after as BundleManifest);
  const same = single.metrics.find(({ head, metric }) => head === "click" && metric === "auc");
  expect(same?.verdict).toBe("noise");
  expect(same?.difference.value).toBeCloseTo(clickAuc?.difference.value as number, 10);
});
