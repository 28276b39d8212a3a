import { z } from "zod";

/** How a network is fitted. Unknown keys are refused. */
export const FitOptions = z.strictObject({
  /** Rows per step: large enough for the matrix products to run at full speed. */
  batchSize: z.int().min(1).default(1024),
  /**
   * Passes over the training rows after which training ends in any case; the learning rate decays towards it. On the
   * simulated world's validation hours a third pass brought nothing.
   */
  maxPasses: z.number().positive().default(2),
  /** Validation losses taken per pass: a small gated network reaches its best within 1–3 passes. */
  evaluationsPerPass: z.int().min(1).default(4),
  /** Ends after this many passes without a better validation loss. */
  patiencePasses: z.number().positive().default(1),
  /** Validation rows that early stopping reads, evenly over time. */
  evaluationRows: z.int().min(1).default(50_000),
  /** Peak. Of .0005–.004 the best on the world's validation hours, with the decay below. */
  learningRate: z.number().positive().default(3e-3),
  /** Steps of linear warm-up. */
  rampSteps: z.int().min(0).default(100),
  /** Share of the learning rate left at the end of maxPasses. */
  learningRateFloor: z.number().min(0).max(1).default(0.05),
  beta1: z.number().min(0).lt(1).default(0.9),
  beta2: z.number().min(0).lt(1).default(0.999),
  epsilon: z.number().positive().default(1e-7),
  /**
   * Decoupled decay of matrices, stated for the whole run: without gradients they would shrink by e^−totalDecay. The main
   * brake on memorising. Per step it would have to be set anew for every number of rows: on the world's validation hours
   * .9 was about the best for 300 thousand training rows and for a million, where the best per-step values differ by 3.
   * Compare Loshchilov and Hutter (2019), appendix B.1 (normalised weight decay).
   */
  totalDecay: z.number().min(0).default(0.9),
  /**
   * Loss weight of a binary head = (entropy of a 10 % head ÷ its own entropy) to this power: 0 leaves rare heads almost no
   * say, 1 makes all heads equally loud and the trunk noisy.
   */
  headBalance: z.number().min(0).max(1).default(0.25),
  /**
   * Share of a rare head's negatives that a step learns from, drawn anew each time; 1 = all. Outputs stay those of all
   * rows: see `multiHeadLoss`.
   */
  rareNegatives: z.number().gt(0).max(1).default(1),
});
export type FitOptions = z.infer<typeof FitOptions>;
