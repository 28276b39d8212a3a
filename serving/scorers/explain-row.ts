import { HEADS } from "../../datasets/heads.ts";
import { type CandidateTable, numberColumn } from "../pipeline/candidate-table.ts";
import { BASE_SCORE, contributionColumn, headColumn } from "../pipeline/home-query.ts";
import type { EffectiveWeights } from "../weights/weights.ts";

export interface RowExplanation {
  /** Heads that the model predicts or that have a weight, in the order of the head table. */
  readonly heads: readonly {
    readonly head: string;
    /** null: the model does not predict it. */
    readonly probability: number | null;
    /** In force for this row: with the mutual-follow boost, 0 behind the video gate. */
    readonly weight: number;
    readonly contribution: number;
  }[];
  /** The offset weighted sum. */
  readonly base: number;
  readonly multipliers: readonly { readonly name: string; readonly value: number }[];
}

const MULTIPLIER = "multiplier_";

/**
 * Why a heavy-scored row has its score: base × every multiplier = score, to 1e-9 relative, and the contributions' sum is
 * the net value that `base` is the offset of. When the heavy ranker did not run, `base` is the score itself.
 */
export function explainRow(
  table: CandidateTable,
  row: number,
  weights: EffectiveWeights,
): RowExplanation {
  const weightOf = new Map<string, number>(
    weights.heads.map(({ head, weight }) => [head.name, weight]),
  );
  const heads = HEADS.flatMap(({ name }) => {
    const probability = numberColumn(table, headColumn("heavy", name))?.[row] ?? null;
    const nominal = weightOf.get(name);
    if (probability === null && nominal === undefined) return [];
    const contribution = numberColumn(table, contributionColumn(name))?.[row] ?? 0;
    const weight =
      probability === null || probability === 0 ? (nominal ?? 0) : contribution / probability;
    return [{ head: name, probability, weight, contribution }];
  });
  const multipliers: { name: string; value: number }[] = [];
  let product = 1;
  for (const [name, column] of table.columns) {
    if (!name.startsWith(MULTIPLIER)) continue;
    const value = column[row] as number;
    multipliers.push({ name: name.slice(MULTIPLIER.length), value });
    product *= value;
  }
  const score = table.score[row] as number;
  const base = numberColumn(table, BASE_SCORE)?.[row] ?? (product === 0 ? score : score / product);
  return { heads, base, multipliers };
}
