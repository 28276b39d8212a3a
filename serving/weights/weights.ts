import { createHash } from "node:crypto";
import { LineCounter, parseDocument } from "yaml";
import { z } from "zod";
import { HEAD_BY_NAME, HEADS, type Head, type HeadName } from "../../datasets/heads.ts";
import { RoostError } from "../../errors.ts";
import {
  DEFAULT_PARAMS,
  type ParamName,
  type Params,
  type Problem,
  paramProblems,
} from "../params.ts";

/** Larger numbers than this are slips of the keyboard; the largest published weight is 369. */
const MAX_WEIGHT = 1e6;

const WeightsFile = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/, "must be kebab-case"),
  description: z.string().min(1),
  /** Head → weight of its probability, or of one unit of its amount. */
  weights: z.record(z.string(), z.unknown()),
  /** Ranking parameters that belong to these weights, such as the offset of their formula. */
  params: z.record(z.string(), z.unknown()).default({}),
});

/** A version of the weights: what one user action is worth. */
export interface Weights {
  readonly name: string;
  readonly description: string;
  readonly weights: Readonly<Partial<Record<HeadName, number>>>;
  readonly params: Readonly<Partial<Params>>;
  /** Content address of `weights` and `params`: 16 hex digits, whatever the order or the comments in the file. */
  readonly checksum: string;
}

/** Everything that is wrong with these weights; empty when they can be used. */
export function weightProblems(weights: Readonly<Record<string, unknown>>, at = ""): Problem[] {
  const problems: Problem[] = [];
  for (const [name, value] of Object.entries(weights)) {
    const pointer = `${at}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    const head = HEAD_BY_NAME.get(name);
    if (head === undefined) {
      problems.push({ pointer, detail: "is no head; datasets/heads.ts lists them" });
    } else if (typeof value !== "number" || !Number.isFinite(value)) {
      problems.push({ pointer, detail: "must be a finite number" });
    } else if (Math.abs(value) > MAX_WEIGHT) {
      problems.push({ pointer, detail: `must be within ±${MAX_WEIGHT}` });
    } else if (value * head.sign < 0) {
      problems.push({
        pointer,
        detail: `must be ${head.sign > 0 ? "≥ 0" : "≤ 0"}: the head means “${head.description}”`,
      });
    }
  }
  return problems;
}

/**
 * Reads weights from YAML (`presets/` has examples). `path` only names the file in errors.
 * @throws BAD_CONFIG naming every problem with its place.
 */
export function parseWeights(text: string, path: string): Weights {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true });
  if (document.errors.length > 0)
    refuse(
      path,
      document.errors.map(({ message, pos }) => ({
        pointer: `line ${lines.linePos(pos[0]).line}`,
        detail: message.split("\n")[0] as string,
      })),
    );
  const parsed = WeightsFile.safeParse(document.toJS({ maxAliasCount: 10 }));
  if (!parsed.success)
    return refuse(
      path,
      parsed.error.issues.map((issue) => ({
        pointer: `/${issue.path.join("/")}`,
        detail: issue.message,
      })),
    );
  const { name, description, weights, params } = parsed.data;
  const problems = [...weightProblems(weights, "/weights"), ...paramProblems(params, "/params")];
  if (problems.length > 0) refuse(path, problems);
  const checked = { weights, params } as Pick<Weights, "weights" | "params">;
  return { name, description, ...checked, checksum: checksumOf(checked) };
}

function refuse(path: string, problems: readonly Problem[]): never {
  const list = problems.map(({ pointer, detail }) => `${pointer} ${detail}`).join("; ");
  throw new RoostError("BAD_CONFIG", `${path}: ${list}`);
}

function checksumOf(content: Pick<Weights, "weights" | "params">): string {
  const sorted = (record: object) => Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
  const canonical = JSON.stringify([sorted(content.weights), sorted(content.params)]);
  return createHash("sha256").update(canonical).digest("hex").slice(0, 16);
}

/** The weights and parameters that one request is ranked with. */
export interface EffectiveWeights {
  /** The version that they began from. */
  readonly name: string;
  /** Content address of the whole: equal for equal effective weights and parameters, however they came about. */
  readonly checksum: string;
  /** The heads that have a weight other than 0, in the order of the head table. */
  readonly heads: readonly { readonly head: Head; readonly weight: number }[];
  readonly params: Params;
  /** N: the negative weights' sum without its sign. */
  readonly negativeSum: number;
  /** P: the sum of the positive weights of binary heads. */
  readonly positiveSum: number;
  /** T = P + N. */
  readonly total: number;
}

export interface Overrides {
  readonly weights?: Readonly<Partial<Record<HeadName, number>>>;
  readonly params?: Readonly<Partial<Params>>;
}

/**
 * Weights and parameters of a request: parameter defaults ← the version's ← each set of overrides in turn.
 * N and P count heads that no model predicts too, so that the published figures reproduce.
 *
 * Source: x-algorithm, home-mixer/scorers/ranking_scorer.rs: N sums all negative weights, P the positive discrete ones.
 * @throws BAD_REQUEST naming every override that is not usable.
 */
export function effectiveWeights(
  base: Weights,
  ...overrides: readonly Overrides[]
): EffectiveWeights {
  const problems = overrides.flatMap(({ weights = {}, params = {} }) => [
    ...weightProblems(weights, "/weights"),
    ...paramProblems(params, "/params"),
  ]);
  if (problems.length > 0) {
    const list = problems.map(({ pointer, detail }) => `${pointer} ${detail}`).join("; ");
    throw new RoostError("BAD_REQUEST", list);
  }
  const weights: Partial<Record<HeadName, number>> = { ...base.weights };
  const params: Record<ParamName, number> = { ...DEFAULT_PARAMS, ...base.params };
  for (const override of overrides) {
    Object.assign(weights, override.weights);
    Object.assign(params, override.params);
  }
  const heads: { head: Head; weight: number }[] = [];
  let negativeSum = 0;
  let positiveSum = 0;
  for (const head of HEADS as readonly Head[]) {
    const weight = weights[head.name as HeadName] ?? 0;
    if (weight === 0) continue;
    heads.push({ head, weight });
    if (weight < 0) negativeSum -= weight;
    else if (head.kind === "binary") positiveSum += weight;
  }
  const weighted = Object.fromEntries(heads.map(({ head, weight }) => [head.name, weight]));
  return {
    name: base.name,
    checksum: checksumOf({ weights: weighted, params }),
    heads,
    params,
    negativeSum,
    positiveSum,
    total: positiveSum + negativeSum,
  };
}

/**
 * Effective weights as a text that `parseWeights` reads back with the same checksum: kept as a version, it lets the
 * checksum in a log line be resolved also when an arm or a request overrode something.
 */
export function weightsText({ name, checksum, heads, params }: EffectiveWeights): string {
  const weights = Object.fromEntries(heads.map(({ head, weight }) => [head.name, weight]));
  const description = `Effective weights ${checksum} that began from ${name}`;
  return `${JSON.stringify({ name, description, weights, params }, null, 2)}\n`;
}
