import type { BundleManifest } from "../../features/bundle.ts";
import type { TrainedPromotion } from "../registry/promote-trained.ts";
import type { TrainReport } from "../train-rankers.ts";

/** What was trained, as text. */
export function trainReportText(report: TrainReport): string {
  const lines = [`${report.rows.train} training rows, ${report.rows.validation} validation rows`];
  for (const [kind, bundle] of Object.entries(report.bundles)) {
    const took = report.seconds[kind]?.toFixed(1);
    lines.push(`\n${kind} ${bundle.version}: ${bundle.parameters} parameters, ${took} s`);
    for (const [head, metrics] of Object.entries(bundle.metrics)) {
      const cells = Object.entries(metrics).map(
        ([name, { value, low, high }]) =>
          `${name} ${value.toFixed(4)} (${low.toFixed(4)}–${high.toFixed(4)})`,
      );
      lines.push(`  ${head.padEnd(26)}${cells.join("  ")}`);
    }
    lines.push(
      ...untrained(bundle),
      placeOf(kind, bundle.version, report.promotions[kind] as TrainedPromotion),
    );
  }
  for (const { days, rows, metrics } of report.curve) {
    const cells = Object.entries(metrics).flatMap(([head, { auc }]) =>
      auc === undefined
        ? []
        : [`${head} ${auc.value.toFixed(4)} (${auc.low.toFixed(4)}–${auc.high.toFixed(4)})`],
    );
    lines.push(`\nheavy on the last ${days} days, ${rows} rows: AUC ${cells.join("  ")}`);
  }
  return `${lines.join("\n")}\n`;
}

/** The heads of which nothing could be learned. */
function untrained({ masked_heads, settings }: BundleManifest): string[] {
  const kept = (settings.warm_start as { kept_heads?: readonly string[] } | undefined)?.kept_heads;
  const lines: string[] = [];
  if (masked_heads.length > 0)
    lines.push(`  masked, no positives to learn from: ${masked_heads.join(", ")}`);
  if (kept !== undefined && kept.length > 0)
    lines.push(`  kept as they were, no new positives: ${kept.join(", ")}`);
  return lines;
}

function placeOf(kind: string, version: string, { champion, refused }: TrainedPromotion): string {
  if (champion === version) return "  champion";
  if (refused !== undefined) return `  not promoted: ${refused}`;
  return `  published; the champion is still ${champion}: roost models compare champion ${version} --stage ${kind}`;
}
