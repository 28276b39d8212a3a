import { expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { featureReports } from "./feature-report.ts";
import { headReports } from "./head-report.ts";
import type { Predictor } from "./predictor.ts";

const N = 4000;

/** Rows with a telling feature, an idle one, a constant and one that is nearly always missing. */
function rows(): TrainingRows {
  const draw = random(7, "rows");
  const features = new Float32Array(N * 4);
  const labels = new Float32Array(N);
  for (let row = 0; row < N; row++) {
    const telling = draw.normal();
    features.set([telling, draw.normal(), 1, row % 200 === 0 ? 1 : Number.NaN], row * 4);
    labels[row] = draw.next() < 1 / (1 + Math.exp(1.5 - 2 * telling)) ? 1 : 0;
  }
  return {
    n: N,
    featureNames: ["telling", "idle", "constant", "missing"],
    features,
    idNames: [],
    ids: new Uint32Array(0),
    headNames: ["click"],
    labels,
    timeMs: new Float64Array(N),
    user: Int32Array.from({ length: N }, (_, i) => i % 100),
    userIds: [],
    postIds: [],
    position: new Float32Array(N),
    inNetwork: new Float32Array(N),
    weight: new Float32Array(N).fill(1),
  };
}

/** A model that passes its first feature on. */
const predictor = {
  bundle: { manifest: { kind: "heavy", features: ["telling", "idle"], ids: [] } },
  heads: ["click"],
  predict: async (features: Float32Array, _ids: Uint32Array, n: number) =>
    Float64Array.from({ length: n }, (_, i) => 1 / (1 + Math.exp(-(features[i * 2] as number)))),
} as unknown as Predictor;

test("shuffling the feature that the model reads costs its AUC, shuffling another nothing", async () => {
  const reports = await featureReports(rows(), predictor, 1, () => {});
  const of = (name: string) => reports.find(({ feature }) => feature === name);
  expect(of("telling")?.auc_lost).toBeGreaterThan(0.25);
  expect(of("idle")?.auc_lost).toBe(0);
  expect(of("constant")).toMatchObject({ constant: true, present: 1, auc_lost: null });
  expect(of("missing")?.present).toBeCloseTo(0.005, 6);
});

test("a head's report judges every scorer on the same rows and pairs them with the main one", () => {
  const data = rows();
  const good = Float32Array.from({ length: N }, (_, i) => {
    return 1 / (1 + Math.exp(1.5 - 2 * (data.features[i * 4] as number)));
  });
  const bad = Float32Array.from({ length: N }, (_, i) => 0.5 + 0.01 * Math.sin(i));
  const [report] = headReports(
    data,
    new Map([
      ["heavy", good],
      ["light", bad],
      ["oracle", good],
    ]),
    { seed: 1, rounds: 100, main: "heavy", trainingPositives: { click: 123 } },
  );
  expect(report).toMatchObject({
    head: "click",
    rows: N,
    training_positives: 123,
    gap_to_oracle: 0,
  });
  expect(report?.metrics.heavy?.auc?.value).toBeGreaterThan(0.8);
  expect(report?.comparisons.light?.verdict).toBe("better");
  expect(report?.comparisons.oracle?.verdict).toBe("noise");
  expect(report?.calibration?.overall.ratio).toBeGreaterThan(0.9);
  expect(report?.calibration?.overall.ratio).toBeLessThan(1.1);
});

test("a head without a positive has no metrics, not wrong ones", () => {
  const data = { ...rows(), labels: new Float32Array(N) };
  const [report] = headReports(data, new Map([["heavy", new Float32Array(N).fill(0.1)]]), {
    seed: 1,
    rounds: 50,
    main: "heavy",
    trainingPositives: {},
  });
  expect(report).toMatchObject({ positives: 0, metrics: {}, calibration: null });
});
