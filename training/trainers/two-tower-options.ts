import { z } from "zod";

/** Settings of two-tower training. Chosen on days before the held-out one; docs/decisions.md says what each did. */
export const TwoTowerOptions = z.strictObject({
  engine: z.enum(["onnx", "tfjs"]).default("onnx"),
  /** Numbers in a vector. */
  dimension: z.int().min(4).max(512).default(64),
  hidden: z.int().min(1).max(4096).default(128),
  /** Numbers in an embedding of the shared table, and its rows by kind of id. */
  embeddingWidth: z.int().min(1).max(256).default(16),
  buckets: z
    .strictObject({
      topic: z.int().min(1).default(512),
      language: z.int().min(1).default(64),
      author: z.int().min(1).default(8192),
      post: z.int().min(1).default(32768),
    })
    .prefault({}),
  /** How strongly vectors agree in topics before training: the one product that is known to matter. */
  topicGain: z.number().min(0).default(5),
  batchSize: z.int().min(8).default(256),
  /** Passes over the welcomed impressions, and the most steps whatever their number: later ones add little. */
  passes: z.number().positive().default(1),
  maxSteps: z.int().min(1).default(1200),
  /** Posts shown at a request that a ranker's list of it has, beside those by lot. */
  listShown: z.int().min(0).max(32).default(4),
  /** A post's share of its list is its worth to this power: above 1 looks at the best. */
  sharpness: z.number().positive().max(8).default(3),
  /** Weight of the ranker's lists, and of softmax and pairs beside them; without a ranker these are all there is. */
  listWeight: z.number().min(0).default(1),
  welcomeWeight: z.number().min(0).default(0.02),
  /** Adam's rate, falling along a half cosine; of the table's AdaGrad. */
  learningRate: z.number().positive().default(0.008),
  /** How far matrices would shrink over the whole run without gradients, as −ln: more passes must not mean more pull. */
  totalDecay: z.number().min(0).default(0.9),
  tableRate: z.number().positive().default(0.01),
  /** Pull of table rows towards 0 at each of their updates. */
  tableDecay: z.number().min(0).default(0.0003),
  /** Weight of welcomed in-network impressions beside out-of-network ones: retrieval is for the latter. */
  inNetworkWeight: z.number().min(0).max(1).default(0.3),
  /** An act counts its interest ÷ (its rate to this power): rarer acts say more. */
  rarity: z.number().min(0).max(1).default(0.75),
  /** 0: the softmax learns who is shown and welcomes a post; 1: who welcomes it when shown. */
  exposureCorrection: z.number().min(0).max(1).default(1),
  /** Weight of the pairs (welcomed over shunned, shown to the same viewer) beside the softmax. */
  pairWeight: z.number().min(0).default(0.5),
  /** What a pair with negative feedback counts; one that was merely passed over counts 1. */
  negativeFeedbackWeight: z.number().min(1).default(4),
  /** Share of rows in which a bag that tells the viewer's history is left out, each by itself. */
  historyDropout: z.number().min(0).max(0.9).default(0.15),
  /** Share of rows in which a post's author is left out as an id: on days of log the ids are mostly memorised. */
  authorDropout: z.number().min(0).max(1).default(0.98),
  /** Share of rows in which a post's own embedding is left out: a new post has none. */
  postIdDropout: z.number().min(0).max(1).default(0.98),
});
export type TwoTowerOptions = z.input<typeof TwoTowerOptions>;
export type TwoTowerSettings = z.output<typeof TwoTowerOptions>;
