import { RoostError } from "../../errors.ts";
import { BINARY_HEAD_METRICS } from "../../experiments/metrics/standard.ts";
import type { BundleManifest } from "../../features/bundle.ts";

/** A metric that a champion's successor may not be worse in by more than `tolerance`. */
export interface GateRule {
  /** One head; every gate head when not given. */
  readonly head?: string;
  readonly metric: string;
  /** In the metric's own unit, ≥ 0. */
  readonly tolerance: number;
}

/**
 * The spread between seeds: two trainings of one model on one data set differ by about so much, so a smaller loss is no
 * evidence of a worse model.
 */
export const DEFAULT_GATE: readonly GateRule[] = [
  { metric: "auc", tolerance: 0.002 },
  { metric: "normalized_entropy", tolerance: 0.005 },
  // A few thousand pairs tell less than the rows of a ranker.
  { head: "retrieval", metric: "auc", tolerance: 0.005 },
];

/** A rule as the command line takes it. */
export const ruleText = ({ head, metric, tolerance }: GateRule): string =>
  `${head === undefined ? "" : `${head}.`}${metric}=${tolerance}`;

/** Heads that always count, and from how many validation positives on the others do. */
const GATE_HEADS: readonly string[] = ["click", "favorite"];
const GATE_POSITIVES = 1000;

/** metric → whether more is better. */
const BETTER = new Map(BINARY_HEAD_METRICS.map(({ name, better }) => [name, better]));

export interface GateFinding {
  readonly head: string;
  readonly metric: string;
  readonly champion: number;
  /** Null when the candidate was not measured in it. */
  readonly candidate: number | null;
  /** By how much the candidate is worse; negative when it is better. */
  readonly loss: number | null;
  readonly tolerance: number;
  readonly passed: boolean;
}

export interface GateVerdict {
  readonly findings: readonly GateFinding[];
  /** Why the candidate may not take the champion's place; empty when it may. */
  readonly problems: readonly string[];
}

/**
 * Rules as the command line takes them: `metric=tolerance` for every gate head or `head.metric=tolerance` for one,
 * separated by commas.
 * @throws BAD_ARGUMENT naming the part that is not right
 */
export function parseGate(text: string): GateRule[] {
  return text.split(",").map((part) => {
    const match = /^(?:([a-z0-9_]+)\.)?([a-z0-9_]+)=(\d*\.?\d+(?:e-?\d+)?)$/.exec(part.trim());
    const [, head, metric, tolerance] = match ?? [];
    if (metric === undefined || !BETTER.has(metric))
      throw new RoostError(
        "BAD_ARGUMENT",
        `--gate ${part.trim()} must be [HEAD.]METRIC=TOLERANCE with a metric of ${[...BETTER.keys()].join(", ")}`,
      );
    return { ...(head === undefined ? {} : { head }), metric, tolerance: Number(tolerance) };
  });
}

/**
 * Whether a candidate may take a champion's place: on the same rows, no gate metric may be worse by more than its
 * tolerance. Gate heads are click, favorite and every head with at least 1,000 positives among those rows. A metric that
 * the champion has and the candidate lacks is a problem; so is a pair without any gate metric, which nothing speaks for.
 */
export function judge(
  candidate: BundleManifest,
  champion: BundleManifest,
  rules: readonly GateRule[],
): GateVerdict {
  const problem = rowsProblem(candidate, champion);
  const findings = rules.flatMap((rule) => findingsOf(rule, candidate, champion));
  const problems = findings.filter(({ passed }) => !passed).map(told);
  if (problem !== undefined) problems.unshift(problem);
  else if (findings.length === 0)
    problems.push(
      `champion ${champion.version} has none of the gate's metrics; nothing says that ${candidate.version} is as good`,
    );
  return { findings, problems };
}

function rowsProblem(candidate: BundleManifest, champion: BundleManifest): string | undefined {
  for (const { validation, version } of [candidate, champion])
    if (validation === undefined) return `${version} was not measured on validation rows`;
  if (candidate.validation?.checksum === champion.validation?.checksum) return undefined;
  return `they were measured on different validation rows: ${rangeOf(candidate)} and ${rangeOf(champion)}`;
}

const rangeOf = ({ version, validation }: BundleManifest): string =>
  validation === undefined
    ? version
    : `${version} on ${validation.rows} of ${iso(validation.from_ms)} – ${iso(validation.to_ms)}`;
const iso = (ms: number): string => new Date(ms).toISOString();

function findingsOf(
  rule: GateRule,
  candidate: BundleManifest,
  champion: BundleManifest,
): GateFinding[] {
  const { metric, tolerance } = rule;
  const positives = champion.validation?.positives ?? {};
  const heads =
    rule.head !== undefined
      ? [rule.head]
      : Object.keys(champion.metrics).filter(
          (name) => GATE_HEADS.includes(name) || (positives[name] ?? 0) >= GATE_POSITIVES,
        );
  return heads.flatMap((head): GateFinding[] => {
    const before = champion.metrics[head]?.[metric]?.value;
    if (before === undefined) return [];
    const after = candidate.metrics[head]?.[metric]?.value ?? null;
    const sign = BETTER.get(metric) === "lower" ? -1 : 1;
    const loss = after === null ? null : sign * (before - after);
    return [
      {
        head,
        metric,
        champion: before,
        candidate: after,
        loss,
        tolerance,
        passed: loss !== null && loss <= tolerance,
      },
    ];
  });
}

function told({ head, metric, champion, candidate, loss, tolerance }: GateFinding): string {
  if (candidate === null || loss === null) return `${head} ${metric} was not measured`;
  return `${head} ${metric} ${candidate.toFixed(4)} is worse than the champion's ${champion.toFixed(4)} by ${loss.toFixed(4)}, more than ${tolerance}`;
}
