import type { Interval } from "../../experiments/metrics/bootstrap.ts";
import type { RetrievalReport } from "../../experiments/retrieval/judge.ts";
import type { Evaluation } from "../commands/evaluate.ts";
import { aligned } from "../commands/timeline-table.ts";
import type { FunnelReport } from "./funnel.ts";
import type { HeadReport } from "./head-report.ts";
import { NDCG_DEPTHS } from "./slate-ndcg.ts";
import type { SliceReport } from "./slices.ts";
import type { TowerRecallReport } from "./tower-recall.ts";

/** An evaluation as readable tables. */
export function evaluationTables(evaluation: Evaluation): string {
  const { data, from, to, rows, users, models, heads, slices, features, funnel, seconds } =
    evaluation;
  const parts = [
    `${data}\n${rows} impressions of ${users} users, ${from} – ${to}`,
    Object.entries(models)
      .map(([name, version]) => `${name} ${version}`)
      .join(", "),
    aucTable(heads),
    comparisonTable(heads),
    calibrationTable(heads),
    ...(slices.some((slice) => Object.keys(slice.heads).length > 0) ? [sliceTable(slices)] : []),
    ...(evaluation.retrieval === null ? [] : [retrievalTable(evaluation.retrieval)]),
    ...(funnel === null ? [] : [funnelTable(funnel)]),
    ...(evaluation.two_tower === null ? [] : [towerTable(evaluation.two_tower)]),
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

function sliceTable(slices: readonly SliceReport[]): string {
  return `The main model on parts of the rows, heads with at least 100 positives there\n${aligned([
    ["by", "slice", "rows", "users", "head", "positives", "AUC", "GAUC", "normalised entropy"],
    ...slices.flatMap(({ by, slice, rows, users, heads }) =>
      Object.entries(heads).map(([head, { positives, metrics }]) => [
        by,
        slice,
        String(rows),
        String(users),
        head,
        String(positives),
        interval(metrics.auc),
        interval(metrics.gauc),
        interval(metrics.normalized_entropy),
      ]),
    ),
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

/** Of the heads with the most positives: the others have a handful in a part. */
function retrievalTable({ users, relevant, posts, recall }: RetrievalReport): string {
  const names = Object.keys(Object.values(recall)[0] ?? {});
  return `Recall of ${relevant} clicked posts that ${users} users had not seen before, among ${posts}\n${aligned(
    [
      ["recommender", ...names],
      ...Object.entries(recall).map(([recommender, values]) => [
        recommender,
        ...names.map((name) => interval(values[name])),
      ]),
    ],
  )}`;
}

function funnelTable(funnel: FunnelReport): string {
  const depths = NDCG_DEPTHS.map((k) => `ndcg@${k}`);
  return `Gain share over ${funnel.requests} requests, ${funnel.candidates_per_request.toFixed(0)} merged candidates each (${funnel.in_network_per_request.toFixed(0)} in-network, ${funnel.retrieved_per_request.toFixed(0)} retrieved)\n${aligned(
    [
      ["ranker", "gain share", ...depths],
      ...Object.entries(funnel.gain_share).map(([ranker, share]) => [
        ranker,
        interval(share),
        ...depths.map((depth) => interval(funnel.ndcg[ranker]?.[depth])),
      ]),
      ["full ÷ visible", interval(funnel.full_of_visible_ceiling)],
      ["heavy's best 50 that light keeps", interval(funnel.light_keeps?.recall)],
    ],
  )}${everywhereTable(funnel.over_all_eligible)}`;
}

function everywhereTable(report: FunnelReport["over_all_eligible"]): string {
  if (report === null) return "";
  return `\nGain share over ${report.requests} requests when every eligible post could be shown\n${aligned(
    [
      ["ranker", "gain share"],
      ...Object.entries(report.gain_share).map(([ranker, share]) => [ranker, interval(share)]),
      ["full ÷ visible", interval(report.full_of_visible_ceiling)],
    ],
  )}`;
}

function towerTable(report: TowerRecallReport): string {
  return `Recall@500 of the oracle's best 100 over ${report.requests} requests, ${report.eligible.toFixed(0)} out-of-network posts of ${report.window_hours} h each\n${aligned(
    [
      ["source", "of the best 100", "of the worst 100"],
      ...(["two_tower", "popularity", "most_popular", "visible_oracle", "by_lot"] as const).map(
        (source) => [
          source,
          interval(report.recall[source]),
          source === "two_tower" || source === "popularity"
            ? interval(report.recall_of_negatives[source])
            : "",
        ],
      ),
      ["two_tower ÷ popularity", interval(report.two_tower_over_popularity), ""],
      ["two_tower ÷ most_popular", interval(report.two_tower_over_most_popular), ""],
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
