import { type DatasetManifest, readManifest } from "../../datasets/dataset.ts";
import { RoostError } from "../../errors.ts";
import type { Interval } from "../../experiments/metrics/bootstrap.ts";
import { rowsBetween } from "../../features/replay.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { type DriftFindings, driftFindings } from "../evaluation/drift.ts";
import { walkHeldOut } from "../evaluation/held-out.ts";
import { predictHeads } from "../evaluation/predict-rows.ts";
import type { Predictor } from "../evaluation/predictor.ts";
import { aligned } from "./timeline-table.ts";

interface Stretch {
  readonly from: string;
  readonly to: string;
  readonly rows: number;
}

export interface DriftReport extends DriftFindings {
  readonly model: { readonly kind: string; readonly version: string };
  /** The champion's own validation rows: what its calibration was fitted on. */
  readonly reference: Stretch;
  readonly since: Stretch;
}

export interface DriftRequest {
  readonly data: string;
  readonly sinceMs: number;
  readonly untilMs?: number;
  readonly seed: number;
  readonly rounds: number;
}

/**
 * Compares the impressions from `sinceMs` on with those that a champion was validated on.
 * @throws BAD_ARGUMENT when either has no impression, or they overlap
 */
export async function drift(request: DriftRequest, predictor: Predictor): Promise<DriftReport> {
  const manifest = readManifest(request.data);
  const { kind, version, validation, data } = predictor.bundle.manifest;
  const measured = validation ?? data;
  const { sinceMs } = request;
  if (sinceMs <= measured.to_ms)
    throw new RoostError(
      "BAD_ARGUMENT",
      `--since must lie after what ${kind} ${version} was validated on, which ends ${iso(measured.to_ms)}`,
    );
  const rows = await rowsOf(request, manifest, measured.from_ms);
  const reference = rowsBetween(rows, measured.from_ms, measured.to_ms + 1);
  const since = rowsBetween(rows, sinceMs, Number.POSITIVE_INFINITY);
  for (const [name, part] of [
    [
      "in the rows that the champion was validated on; is this the data it was trained on?",
      reference,
    ],
    ["from --since on", since],
  ] as const)
    if (part.n === 0) throw new RoostError("BAD_ARGUMENT", `there is no impression ${name}`);
  const predicted = async (part: TrainingRows) => ({
    rows: part,
    predictions: await predictHeads(predictor, part),
  });
  const findings = driftFindings(
    predictor.bundle.manifest,
    await predicted(reference),
    await predicted(since),
    request,
  );
  return {
    model: { kind, version },
    reference: stretch(reference),
    since: stretch(since),
    ...findings,
  };
}

async function rowsOf(
  { data, untilMs }: DriftRequest,
  manifest: DatasetManifest,
  fromMs: number,
): Promise<TrainingRows> {
  const range = { fromMs, toMs: untilMs ?? manifest.to_ms + 1 };
  const walked = await walkHeldOut(
    data,
    manifest,
    range,
    undefined,
    () => undefined,
    () => {},
  );
  return walked.rows;
}

const iso = (ms: number): string => new Date(ms).toISOString();

const stretch = (rows: TrainingRows): Stretch => ({
  from: iso(rows.timeMs[0] as number),
  to: iso(rows.timeMs[rows.n - 1] as number),
  rows: rows.n,
});

/** Features shown in the text; JSON has them all. */
const SHOWN = 15;

export function driftTables(report: DriftReport): string {
  const { model, reference, since, features, heads, triggers, thresholds } = report;
  const show = ({ value, low, high }: Interval): string =>
    `${value.toFixed(3)} (${low.toFixed(3)} – ${high.toFixed(3)})`;
  const told = heads.filter(({ overall }) => overall.positives >= thresholds.positives);
  const parts = [
    `${model.kind} ${model.version}\nreference ${reference.from} – ${reference.to}, ${reference.rows} rows\nsince     ${since.from} – ${since.to}, ${since.rows} rows`,
    `PSI of the ${Math.min(SHOWN, features.length)} features of ${features.length} that changed most\n${aligned(
      [
        ["feature", "PSI", "change", "missing before", "missing since"],
        ...features
          .slice(0, SHOWN)
          .map(({ feature, psi, change, missing: [before, now] }) => [
            feature,
            psi.toFixed(3),
            change,
            before.toFixed(3),
            now.toFixed(3),
          ]),
      ],
    )}`,
    `Scores, and observed ÷ predicted with 95 % intervals over resampled viewers, of heads with at least ${thresholds.positives} positives\n${aligned(
      [
        ["head", "day", "positives", "PSI", "mean before", "mean since", "observed ÷ predicted"],
        ...told.flatMap(({ head, score_psi, mean_score: [before, now], overall, days }) => [
          [
            head,
            "all",
            String(overall.positives),
            score_psi.toFixed(3),
            before.toFixed(4),
            now.toFixed(4),
            show(overall.ratio),
          ],
          ...days.map((day) => [
            "",
            iso(day.from_ms).slice(0, 16),
            String(day.positives),
            "",
            "",
            "",
            show(day.ratio),
          ]),
        ]),
      ],
    )}`,
    triggers.length === 0
      ? "no threshold is passed: no retraining is recommended"
      : `retraining is recommended:\n${triggers.map(({ reason }) => `  ${reason}`).join("\n")}`,
  ];
  return `${parts.join("\n\n")}\n`;
}
