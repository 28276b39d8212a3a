import { channel } from "node:diagnostics_channel";

/** Steps of the write path between which a crash must find everything whole. */
export const PHASES = ["append", "apply", "checkpoint", "segment_rename", "fan_out"] as const;
export type Phase = (typeof PHASES)[number];

/** One step begins or ends. */
export interface PhaseMark {
  readonly phase: Phase;
  readonly begins: boolean;
}

/** Where steps are told; subscribers are called at once. Costs a look when nobody listens. */
export const PHASE_CHANNEL = "roost.phase";
const marks = channel(PHASE_CHANNEL);

/** Does one step and tells when it begins and ends, also when it fails. */
export async function during<T>(phase: Phase, step: () => Promise<T>): Promise<T> {
  if (!marks.hasSubscribers) return step();
  marks.publish({ phase, begins: true } satisfies PhaseMark);
  try {
    return await step();
  } finally {
    marks.publish({ phase, begins: false } satisfies PhaseMark);
  }
}
