import { toRecord } from "./records.ts";
import { simulate } from "./simulation.ts";
import { graphTargets } from "./target-graph.ts";
import { LogTargets } from "./target-log.ts";
import { noiseTargets } from "./target-noise.ts";
import { RateTargets } from "./target-rates.ts";
import type { TargetRow } from "./target-row.ts";
import { ValueTargets } from "./target-value.ts";
import type { OpenWorld } from "./world.ts";

/** Held-out people whose rankings are judged. */
const JUDGED = 800;

/**
 * Measures every property that is asked of the world, living through its log once. Rates and AUCs are expectations:
 * means of true probabilities over logged impressions, which chance in rare outcomes does not move.
 */
export function measureTargets({ world, population, truth }: OpenWorld): TargetRow[] {
  const log = new LogTargets(world.settings.days);
  const expected = world.settings.users * world.settings.pagesPerDay * 60;
  const rates = new RateTargets(world.heldOutFromMs, expected);
  const values = new ValueTargets(population, truth, world.heldOutFromMs, JUDGED);
  const happenings = simulate(population, truth, {
    observer: {
      onRequest: (user, meeting, state) => values.observe(user, meeting, state),
      onImpression: (meeting, _user, _post, p) => rates.observe(meeting.timeMs, p),
    },
  });
  for (const happening of happenings) log.observe(toRecord(population, happening));
  return [
    ...graphTargets(population),
    ...log.rows(),
    ...noiseTargets(population),
    ...rates.rows(),
    ...values.rows(),
  ];
}
