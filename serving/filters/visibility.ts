import { z } from "zod";
import { numberAt, numberColumn, textAt, textColumn } from "../pipeline/candidate-table.ts";
import type { HomeQuery } from "../pipeline/home-query.ts";
import type { Filter } from "../pipeline/stages.ts";

export const VisibilityOptions = z.strictObject({
  /** Labels of posts that nobody is shown. */
  hidden: z.array(z.string()).default(["spam"]),
  /** Labels of posts that are not recommended: shown to the author's followers only. */
  notRecommended: z
    .array(z.string())
    .default(["abusive", "sensitive_media", "do_not_amplify", "malicious_link"]),
});
export type VisibilityOptions = z.input<typeof VisibilityOptions>;

/** The rule that forbids showing a post with these labels; undefined = none. `inNetwork`: the viewer follows its author. */
export type LabelRule = (labels: readonly string[], inNetwork: boolean) => string | undefined;

/**
 * Some labels hide a post from everybody, others only keep it from being recommended.
 *
 * Source: x-algorithm 2026, visibility-filtering/rules/registry.rs: a home policy for followed authors, a longer list
 * for recommendations.
 */
export function labelRule(options: VisibilityOptions = {}): LabelRule {
  const { hidden, notRecommended } = VisibilityOptions.parse(options);
  const ruleOf = new Map<string, { rule: string; always: boolean }>();
  for (const label of notRecommended)
    ruleOf.set(label, { rule: `label ${label}: not recommended`, always: false });
  for (const label of hidden) ruleOf.set(label, { rule: `label ${label}`, always: true });
  return (labels, inNetwork) => {
    for (const label of labels) {
      const found = ruleOf.get(label);
      if (found && (found.always || !inNetwork)) return found.rule;
    }
    return undefined;
  };
}

/**
 * Drops deleted posts and those whose safety labels forbid showing or recommending them.
 * Reads `deleted`, `safety_labels`, `in_network`; an unknown `in_network` counts as a recommendation.
 */
export function visibility(options: VisibilityOptions = {}): Filter<HomeQuery> {
  const forbids = labelRule(options);
  return {
    name: "visibility",
    timeoutMs: 0,
    onFailure: "closed",
    keep: (_query, table) => {
      const deleted = numberColumn(table, "deleted");
      const labels = textColumn(table, "safety_labels");
      const inNetwork = numberColumn(table, "in_network");
      return (row) => {
        if (numberAt(deleted, row) === 1) return "deleted";
        const listed = textAt(labels, row);
        if (listed === "") return true;
        return forbids(listed.split("\n"), numberAt(inNetwork, row) === 1) ?? true;
      };
    },
  };
}
