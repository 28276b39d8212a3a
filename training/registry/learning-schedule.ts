import type { TimeRange } from "../../datasets/split.ts";
import { RoostError } from "../../errors.ts";

const DAY_MS = 86_400_000;

/** One day that is judged, and what models that learned until its first moment were fitted on. */
export interface LearningDay {
  readonly judged: TimeRange;
  /** What is new since the update before: a warm start is trained on it. */
  readonly fresh: TimeRange;
  /** The end of what was known: stops training and fits the calibration, of warm and retrained models alike. */
  readonly validation: TimeRange;
}

export interface LearningSchedule {
  /** What the frozen model was fitted on. */
  readonly frozen: { readonly train: TimeRange; readonly validation: TimeRange };
  readonly days: readonly LearningDay[];
}

/** The share of a stretch that validates where there are not two whole days in it; as `roost train` splits. */
const VALIDATION_SHARE = 0.15;

const validationFrom = ({ fromMs, toMs }: TimeRange): number =>
  Math.round(toMs - (toMs - fromMs >= 2 * DAY_MS ? DAY_MS : VALIDATION_SHARE * (toMs - fromMs)));

/**
 * Days to judge from the first whole day after `sinceMs`, each with what could be learned before it. No model sees
 * anything of the day on which it is judged, and every row is trained on by each chain at most once.
 * @throws BAD_ARGUMENT when there is nothing before `sinceMs`, or less than a day to learn from and some of the next to judge
 */
export function learningSchedule(data: TimeRange, sinceMs: number): LearningSchedule {
  if (!(sinceMs > data.fromMs))
    throw new RoostError("BAD_ARGUMENT", "--since must leave days before it for the frozen model");
  const before = { fromMs: data.fromMs, toMs: sinceMs };
  let learnedMs = Math.round(sinceMs - VALIDATION_SHARE * (sinceMs - data.fromMs));
  const frozen = {
    train: { ...before, toMs: learnedMs },
    validation: { fromMs: learnedMs, toMs: sinceMs },
  };
  const days: LearningDay[] = [];
  for (let fromMs = sinceMs + DAY_MS; fromMs < data.toMs; fromMs += DAY_MS) {
    const validationMs = validationFrom({ fromMs: learnedMs, toMs: fromMs });
    days.push({
      judged: { fromMs, toMs: Math.min(fromMs + DAY_MS, data.toMs) },
      fresh: { fromMs: learnedMs, toMs: validationMs },
      validation: { fromMs: validationMs, toMs: fromMs },
    });
    learnedMs = validationMs;
  }
  if (days.length === 0)
    throw new RoostError(
      "BAD_ARGUMENT",
      "there is no day to judge: after --since there must be a day to learn from and another one",
    );
  return { frozen, days };
}
