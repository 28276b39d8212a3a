import type { Calibration } from "../../experiments/metrics/calibration.ts";
import type { HeadReport } from "./head-report.ts";
import type { LiftPoint } from "./lift.ts";

/** What the plots show of an evaluation. */
export interface PlottedEvaluation {
  readonly data: string;
  readonly from: string;
  readonly to: string;
  readonly models: Readonly<Record<string, string>>;
  readonly heads: readonly Pick<HeadReport, "head" | "positives" | "calibration" | "lift">[];
}

/** Pixels of a plot and of its margin for axis labels. */
const SIZE = 300;
const MARGIN = 48;

const STYLE = `body{font:14px system-ui,sans-serif;margin:2rem;color:#222}section{margin:2rem 0}
svg{margin-right:1rem}text{font:11px system-ui,sans-serif;fill:#444}
.axis{stroke:#999;fill:none}.even{stroke:#bbb;stroke-dasharray:4 3}.line{stroke:#1f6feb;fill:none;stroke-width:1.5}
.bar{stroke:#1f6feb;stroke-width:1}circle{fill:#1f6feb}`;

/**
 * Calibration and lift of the main model as one HTML page without scripts or anything from elsewhere: a section a head
 * that has positives. Each point carries its figures in `data-` attributes, as the report has them.
 */
export function plotsPage({ data, from, to, models, heads }: PlottedEvaluation): string {
  const sections = heads.flatMap(({ head, positives, calibration, lift }) =>
    calibration === null || lift === null || positives === 0
      ? []
      : [
          `<section data-head="${escaped(head)}"><h2>${escaped(head)}, ${positives} positives</h2>${calibrationPlot(calibration)}${liftPlot(lift)}</section>`,
        ],
  );
  const made = Object.entries(models)
    .map(([name, version]) => `${name} ${version}`)
    .join(", ");
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Calibration and lift</title><style>${STYLE}</style></head><body>
<h1>Calibration and lift</h1>
<p>${escaped(data)}, ${escaped(from)} – ${escaped(to)}; ${escaped(made)}</p>
${sections.join("\n")}
</body></html>
`;
}

/** Mean prediction against observed rate of each bin with its 95 % interval; on the dashed line they agree. */
function calibrationPlot({ bins }: Calibration): string {
  const top = niceTop(Math.max(...bins.flatMap((bin) => [bin.predicted, bin.observedHigh])));
  const [x, y] = scales(top, top);
  const marks = bins.map(
    ({ n, predicted, observed, observedLow, observedHigh }) =>
      `<line class="bar" x1="${x(predicted)}" x2="${x(predicted)}" y1="${y(observedLow)}" y2="${y(observedHigh)}"/>` +
      `<circle cx="${x(predicted)}" cy="${y(observed)}" r="3" data-n="${n}" data-predicted="${predicted}" data-observed="${observed}" data-low="${observedLow}" data-high="${observedHigh}"><title>predicted ${predicted.toPrecision(3)}, observed ${observed.toPrecision(3)}</title></circle>`,
  );
  return plot("calibration", "mean predicted", "observed", [top, top], marks);
}

/** Share of positives found in the share of rows with the highest predictions; the dashed line is chance. */
function liftPlot(points: readonly LiftPoint[]): string {
  const [x, y] = scales(1, 1);
  const path = [{ rows: 0, positives: 0 }, ...points]
    .map(({ rows, positives }) => `${x(rows)},${y(positives)}`)
    .join(" ");
  const marks = [
    `<polyline class="line" points="${path}"/>`,
    ...points.map(
      ({ rows, positives, lift }) =>
        `<circle cx="${x(rows)}" cy="${y(positives)}" r="3" data-rows="${rows}" data-positives="${positives}" data-lift="${lift}"><title>lift ${lift.toPrecision(3)}</title></circle>`,
    ),
  ];
  return plot("lift", "share of rows, highest first", "share of positives", [1, 1], marks);
}

type Scale = (value: number) => string;

function scales(right: number, top: number): [Scale, Scale] {
  const span = SIZE - 2 * MARGIN;
  return [
    (value) => (MARGIN + (value / right) * span).toFixed(2),
    (value) => (SIZE - MARGIN - (value / top) * span).toFixed(2),
  ];
}

function plot(
  kind: string,
  xLabel: string,
  yLabel: string,
  [right, top]: readonly [number, number],
  marks: readonly string[],
): string {
  const [x, y] = scales(right, top);
  const tick = (value: number): string => String(Number(value.toPrecision(2)));
  const ticks = [0, 0.5, 1].flatMap((share) => [
    `<text x="${x(share * right)}" y="${SIZE - MARGIN + 14}" text-anchor="middle">${tick(share * right)}</text>`,
    `<text x="${MARGIN - 4}" y="${y(share * top)}" text-anchor="end" dy="4">${tick(share * top)}</text>`,
  ]);
  return `<svg class="${kind}" width="${SIZE}" height="${SIZE}" role="img" aria-label="${kind}">
<path class="axis" d="M${x(0)} ${y(top)}V${y(0)}H${x(right)}"/>
<line class="even" x1="${x(0)}" y1="${y(0)}" x2="${x(right)}" y2="${y(top)}"/>
${ticks.join("")}<text x="${SIZE / 2}" y="${SIZE - 8}" text-anchor="middle">${xLabel}</text><text transform="translate(12 ${SIZE / 2}) rotate(-90)" text-anchor="middle">${yLabel}</text>
${marks.join("\n")}
</svg>`;
}

/** The least of 1, 2, 5 times a power of ten that is not below, at most 1: rates end there. */
function niceTop(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)));
  const step = [1, 2, 5, 10].find((times) => times * power >= value) ?? 10;
  return Math.min(1, step * power);
}

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
