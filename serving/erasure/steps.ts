/** What an erasure does, in this order; those on Redis only where the space is there. */
export const ERASURE_STEPS = [
  "rolling the log into segments",
  "writing files without the users",
  "removing feature state from Redis",
  "removing timelines from Redis",
  "putting the files in place",
  "removing event ids from Redis",
] as const;

/** Told when a step begins. */
export type OnStep = (step: (typeof ERASURE_STEPS)[number]) => void;
