import { z } from "zod";
import { FitOptions } from "./fit-options.ts";

/** The heavy ranker's own settings; the defaults make .4–.5 M parameters on 120–170 features. */
export const HeavyOptions = z.strictObject({
  /**
   * Networks that are trained side by side from different weights, on the same ids, and whose logits are averaged. Takes
   * as many times as long to train and to serve; pays where rows are few and seeds disagree.
   */
  members: z.int().min(1).max(8).default(1),
  blocks: z.int().min(1).default(3),
  maskHidden: z.int().min(1).default(112),
  blockOutput: z.int().min(1).default(128),
  trunk: z.array(z.int().min(1)).default([256, 128]),
  tower: z.int().min(1).default(32),
  /** Dropout on what the towers read. With weight decay in place it only slowed learning down on the world. */
  dropout: z.number().min(0).lt(1).default(0),
  /** Rows of each id table. Ids past this many share rows, which costs little at these widths. */
  idBuckets: z.int().min(2).default(16_384),
  /** Width of an id's embedding; 0 = no ids. Small, because ids are memorised sooner than they generalise. */
  idWidth: z.int().min(0).default(8),
  /** Share of ids hidden while training. */
  idDropout: z.number().min(0).lt(1).default(0.3),
  idLearningRate: z.number().positive().default(0.02),
  idL2: z.number().min(0).default(0.01),
});
export type HeavyOptions = z.infer<typeof HeavyOptions>;

/** Which runtime trains. `tfjs` needs @tensorflow/tfjs-node or @tensorflow/tfjs installed. */
export const EngineName = z.enum(["onnx", "tfjs"]);

export const RankerOptions = z.strictObject({
  fit: FitOptions.partial().default({}),
  heavy: HeavyOptions.partial().default({}),
  engine: EngineName.default("onnx"),
});
export type RankerOptions = z.input<typeof RankerOptions>;

/** A logistic regression takes larger steps than a deep network, and more of them. */
export const LOGISTIC_FIT: Partial<FitOptions> = {
  learningRate: 2e-2,
  totalDecay: 0,
  maxPasses: 4,
  headBalance: 1,
};
