import type { Interval } from "../../experiments/metrics/bootstrap.ts";
import {
  LEARNERS,
  type LearningFigures,
  type LearningReport,
} from "../registry/learning-report.ts";
import { table } from "./models-place.ts";

/** A comparison of ways to go on learning as text: by head and day, then the conclusion. */
export function learningTables(reports: Readonly<Record<string, LearningReport>>): string {
  return Object.entries(reports)
    .map(([kind, { heads, conclusion }]) => {
      const line = (head: string, day: string, figures: LearningFigures): string[] => [
        head,
        day,
        String(figures.positives),
        ...LEARNERS.map((learner) => figures.auc[learner].value.toFixed(4)),
        ...Object.values(figures.differences).map(
          ({ difference, verdict }) => `${span(difference)} ${verdict}`,
        ),
      ];
      const pairs = Object.keys(heads[0]?.overall.differences ?? {});
      const lines = heads.flatMap(({ head, overall, days }) => [
        line(head, "all days", overall),
        ...days.map((day) =>
          line("", new Date(day.from_ms as number).toISOString().slice(0, 16), day),
        ),
      ]);
      const header = [
        "head",
        "day",
        "positives",
        ...LEARNERS,
        ...pairs.map((p) => p.replace("-", " − ")),
      ];
      const body = heads.length > 0 ? `${table([header, ...lines])}\n` : "";
      return `${kind}: AUC on days that no model had seen\n${body}${kind}: ${conclusion}\n`;
    })
    .join("\n");
}

const span = ({ value, low, high }: Interval): string =>
  `${value.toFixed(4)} (${low.toFixed(4)} – ${high.toFixed(4)})`;
