import { HEAD_BY_NAME } from "../../datasets/heads.ts";
import type { HeadStatistics } from "./head-statistics.ts";

/**
 * Positives from which a negative head's own tower is worth more than a common one. On the world a common one closed a
 * tenth to a third of each negative head's gap to the true probabilities at 8–190 positives, and still did so at 600.
 */
const OWN_TOWER_POSITIVES = 1000;

/**
 * The tower of each head, numbered from 0: one each, but the negative heads that are too rare to be learned alone (mute,
 * block, report …) share one. They say much the same of a post, so together they learn its order; base rates and
 * calibrations stay their own.
 */
export function sharedTowers(heads: readonly HeadStatistics[]): number[] {
  let towers = 0;
  let common: number | undefined;
  return heads.map(({ name, positives }) => {
    const isRare = positives > 0 && positives < OWN_TOWER_POSITIVES;
    if (!isRare || HEAD_BY_NAME.get(name)?.sign !== -1) return towers++;
    common ??= towers++;
    return common;
  });
}
