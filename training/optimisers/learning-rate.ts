export interface LearningRateSchedule {
  /** The rate after the ramp. */
  readonly peak: number;
  /** Steps over which the rate rises linearly from peak/rampSteps. */
  readonly rampSteps: number;
  /** Steps after which the rate has fallen to `floor` × peak along a half cosine; it stays there. */
  readonly decaySteps: number;
  /** 0–1; 1 = constant after the ramp. */
  readonly floor: number;
}

/**
 * The learning rate of a step, counted from 1.
 * Source: Loshchilov and Hutter (2017), "SGDR", eq. 5 (cosine); Goyal et al. (2017), §2.2 (gradual ramp).
 */
export function learningRate(schedule: LearningRateSchedule, step: number): number {
  const { peak, rampSteps, decaySteps, floor } = schedule;
  const ramp = Math.min(1, step / Math.max(1, rampSteps));
  const progress = Math.min(1, step / Math.max(1, decaySteps));
  return peak * ramp * (floor + (1 - floor) * 0.5 * (1 + Math.cos(Math.PI * progress)));
}
