import { channel } from "node:diagnostics_channel";

/** Steps of the write path between which a crash must find everything whole. */
export const PHASES = ["append", "apply", "checkpoint", "segment_rename", "fan_out"] as const;
export type Phase = (typeof PHASES)[number];

/**
 * Steps of events that wait aside while the log is away: they are taken, read to go on, appended to the log, taken out, and
 * the last of them is out.
 */
export const SPOOL_PHASES = [
  "spool_take",
  "spool_read",
  "spool_hand_on",
  "spool_trim",
  "spool_out",
] as const;
export type SpoolPhase = (typeof SPOOL_PHASES)[number];

/** One step begins or ends. */
export interface PhaseMark {
  readonly phase: Phase | SpoolPhase;
  readonly begins: boolean;
}

/** Where steps are told; subscribers are called at once. Costs a look when nobody listens. */
export const PHASE_CHANNEL = "roost.phase";
const marks = channel(PHASE_CHANNEL);

/** Does one step and tells when it begins and ends, also when it fails. */
export async function during<T>(phase: Phase | SpoolPhase, step: () => Promise<T>): Promise<T> {
  if (!marks.hasSubscribers) return step();
  marks.publish({ phase, begins: true } satisfies PhaseMark);
  try {
    return await step();
  } finally {
    marks.publish({ phase, begins: false } satisfies PhaseMark);
  }
}
