import type { Interval } from "../metrics/bootstrap.ts";

/** What retrieval is judged on: clicks in the range on posts that the user had not seen before it. */
export interface RetrievalQuestion {
  readonly data: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly seed: number;
  /** Bootstrap resamples of each interval. */
  readonly rounds: number;
}

export interface RetrievalReport {
  readonly users: number;
  readonly relevant: number;
  readonly posts: number;
  /** Recommender → `recall@k` → mean over users with its interval. */
  readonly recall: Readonly<Record<string, Readonly<Record<string, Interval>>>>;
  readonly seconds: Readonly<Record<string, number>>;
}

/** Makes recommenders from what lies before the range and judges them on it. */
export type RetrievalJudge = (question: RetrievalQuestion) => Promise<RetrievalReport>;
