import type { Interval } from "../../experiments/metrics/bootstrap.ts";
import type { RetrievalReport } from "../../experiments/retrieval/judge.ts";
import type { Evaluation, FunnelReport } from "../commands/evaluate.ts";
import { aligned } from "../commands/timeline-table.ts";
import type { HeadReport } from "./head-report.ts";
import type { Slice } from "./slice-report.ts";

/** An evaluation as readable tables. */
export function evaluationTables(evaluation: Evaluation): string {
  const { data, from, to, rows, users, models, heads, features, funnel, seconds } = evaluation;
  const parts = [
    `${data}\n${rows} impressions of ${users} users, ${from} – ${to}`,
    Object.entries(models)
      .map(([name, version]) => `${name} ${version}`)
      .join(", "),
    aucTable(heads),
    comparisonTable(heads),
    calibrationTable(heads),
    ...(evaluation.slices.length === 0 ? [] : [sliceTable(evaluation.slices)]),
    ...(evaluation.retrieval === null ? [] : [retrievalTable(evaluation.retrieval)]),
    ...(funnel === null ? [] : [funnelTable(funnel)]),
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

/** Of the heads with the most positives: the others have a handful in a part. */
function sliceTable(slices: readonly Slice[]): string {
  const heads = [...(slices[0]?.heads ?? [])]
    .sort((a, b) => b.positives - a.positives)
    .slice(0, 2)
    .map(({ head }) => head);
  const columns = ["auc", "gauc", "normalized_entropy"];
  return `The main model by parts of the rows\n${aligned([
    ["part", "rows", "users", "head", "positives", ...columns, "predicted ÷ observed"],
    ...slices.flatMap(({ by, value, rows, users, heads: all }) =>
      heads.flatMap((name) => {
        const head = all.find((one) => one.head === name);
        if (head === undefined) return [];
        return [
          [
            `${by} ${value}`,
            String(rows),
            String(users),
            name,
            String(head.positives),
            ...columns.map((column) => interval(head.metrics[column] ?? undefined)),
            head.calibration?.toFixed(3) ?? "–",
          ],
        ];
      }),
    ),
  ])}`;
}

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
  return `Gain share over ${funnel.requests} requests, ${funnel.candidates_per_request.toFixed(0)} merged candidates each (${funnel.in_network_per_request.toFixed(0)} in-network)\n${aligned(
    [
      ["ranker", "gain share"],
      ...Object.entries(funnel.gain_share).map(([ranker, share]) => [ranker, interval(share)]),
      ["full ÷ visible", interval(funnel.full_of_visible_ceiling)],
    ],
  )}`;
}

function interval(value: Interval | undefined): string {
  if (value === undefined) return "–";
  return `${value.value.toFixed(4)} (${value.low.toFixed(4)} – ${value.high.toFixed(4)})`;
}
