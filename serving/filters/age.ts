import { numberAt, numberColumn } from "../pipeline/candidate-table.ts";
import { type HomeQuery, paramsOf } from "../pipeline/home-query.ts";
import type { Filter } from "../pipeline/stages.ts";

const HOUR_MS = 3_600_000;
/** Clocks of different machines differ by less than this; what lies further ahead is not known yet. */
const CLOCK_SKEW_MS = 60_000;

/** Drops posts older than `max_age_hours`, from the future or of unknown age. Reads `created_at_ms`. */
export function age(): Filter<HomeQuery> {
  return {
    name: "age",
    timeoutMs: 0,
    onFailure: "open",
    keep: (query, table) => {
      const createdAt = numberColumn(table, "created_at_ms");
      const maxAgeHours = paramsOf(query).max_age_hours;
      const oldest = query.nowMs - maxAgeHours * HOUR_MS;
      const newest = query.nowMs + CLOCK_SKEW_MS;
      const tooOld = `older than ${maxAgeHours} h`;
      return (row) => {
        const at = numberAt(createdAt, row);
        if (at < oldest) return tooOld;
        if (at > newest) return "from the future";
        return Number.isNaN(at) ? "age unknown" : true;
      };
    },
  };
}
