import type { Interval } from "../../experiments/metrics/bootstrap.ts";
import type { Evaluation, FunnelReport } from "../commands/evaluate.ts";
import { aligned } from "../commands/timeline-table.ts";
import type { HeadReport } from "./head-report.ts";
import type { RetrievalReport } from "./retrieval.ts";

/** An evaluation as readable tables. */
export function evaluationTables(evaluation: Evaluation): string {
  const { data, from, to, rows, users, models, heads, features, funnel, retrieval, seconds } =
    evaluation;
  const parts = [
    `${data}\n${rows} impressions of ${users} users, ${from} – ${to}`,
    Object.entries(models)
      .map(([name, version]) => `${name} ${version}`)
      .join(", "),
    aucTable(heads),
    comparisonTable(heads),
    calibrationTable(heads),
    ...(funnel === null ? [] : [funnelTable(funnel)]),
    ...(retrieval === null ? [] : [retrievalTable(retrieval)]),
    ...(features.length === 0
      ? []
      : [
          `${features.length} features, ${features.filter((f) => !f.constant && f.present >= 0.01).length} of them neither constant nor over 99 % missing`,
          aligned([
            ["feature", "present", "AUC lost"],
            ...[...features]
              .sort((a, b) => (b.auc_lost ?? -1) - (a.auc_lost ?? -1))
              .map((f) => [
                f.feature,
                f.present.toFixed(3),
                f.auc_lost === null ? (f.constant ? "constant" : "unused") : f.auc_lost.toFixed(5),
              ]),
          ]),
        ]),
    `${seconds.toFixed(0)} s`,
  ];
  return `${parts.join("\n\n")}\n`;
}

function aucTable(heads: readonly HeadReport[]): string {
  const scorers = [...new Set(heads.flatMap(({ metrics }) => Object.keys(metrics)))];
  return `AUC with 95 % intervals over resampled users\n${aligned([
    ["head", "positives", "trained on", ...scorers, "gap to oracle"],
    ...heads.map((head) => [
      head.head,
      String(head.positives),
      String(head.training_positives ?? ""),
      ...scorers.map((scorer) => interval(head.metrics[scorer]?.auc)),
      head.gap_to_oracle === null ? "" : head.gap_to_oracle.toFixed(4),
    ]),
  ])}`;
}

function comparisonTable(heads: readonly HeadReport[]): string {
  const lines = heads.flatMap(({ head, comparisons }) =>
    Object.entries(comparisons)
      .filter(([scorer]) => scorer !== "oracle")
      .map(([scorer, { difference, verdict }]) => [head, scorer, interval(difference), verdict]),
  );
  return `AUC of the main model − another's, paired\n${aligned([["head", "against", "difference", "verdict"], ...lines])}`;
}

function calibrationTable(heads: readonly HeadReport[]): string {
  return `Calibration of the main model: predicted ÷ observed in 10 equal-count bins\n${aligned([
    ["head", "overall", ...Array.from({ length: 10 }, (_, i) => String(i + 1))],
    ...heads.flatMap(({ head, calibration }) =>
      calibration === null
        ? []
        : [
            [
              head,
              calibration.overall.ratio.toFixed(3),
              ...calibration.bins.map(({ ratio }) =>
                Number.isFinite(ratio) ? ratio.toFixed(2) : "–",
              ),
            ],
          ],
    ),
  ])}`;
}

function funnelTable(funnel: FunnelReport): string {
  return `Gain share over ${funnel.requests} requests, ${funnel.candidates_per_request.toFixed(0)} merged candidates each (${funnel.in_network_per_request.toFixed(0)} in-network)\n${aligned(
    [
      ["ranker", "gain share"],
      ...Object.entries(funnel.gain_share).map(([ranker, share]) => [ranker, interval(share)]),
      ["full ÷ visible", interval(funnel.full_of_visible_ceiling)],
    ],
  )}`;
}

function retrievalTable(report: RetrievalReport): string {
  return `Recall@500 of the oracle's best 100 over ${report.requests} requests, ${report.eligible.toFixed(0)} out-of-network posts of ${report.window_hours} h each\n${aligned(
    [
      ["source", "of the best 100", "of the worst 100"],
      ...(["two_tower", "popularity", "visible_oracle", "by_lot"] as const).map((source) => [
        source,
        interval(report.recall[source]),
        source === "two_tower" || source === "popularity"
          ? interval(report.recall_of_negatives[source])
          : "",
      ]),
      ["two_tower ÷ popularity", interval(report.two_tower_over_popularity), ""],
      [
        `two_tower, ${report.newcomers?.requests ?? 0} newcomers`,
        interval(report.newcomers?.recall),
        "",
      ],
      ["HNSW of exact", interval(report.index_recall ?? undefined), ""],
    ],
  )}`;
}

function interval(value: Interval | undefined): string {
  if (value === undefined) return "–";
  return `${value.value.toFixed(4)} (${value.low.toFixed(4)} – ${value.high.toFixed(4)})`;
}
