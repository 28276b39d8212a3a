import type { ComponentRun, Failure } from "../pipeline/record.ts";

/**
 * What one ranking adds to the runner's record: together the one source of the log line and of `/metrics`. Of a ranking
 * that failed it holds the components that it came to.
 */
export interface RankRecord {
  readonly product: string;
  /** The runner's own record. */
  readonly pipeline: {
    readonly components: readonly ComponentRun[];
    readonly stageMs: Readonly<Partial<Record<string, number>>>;
    readonly failures: readonly Pick<Failure, "component" | "kind">[];
    readonly totalMs: number;
  };
  /** Posts on the page; 0 when there is none. */
  readonly items: number;
  readonly weightsChecksum: string;
  readonly experiments: readonly { readonly key: string; readonly variation: number }[];
  readonly modelVersions: Readonly<Record<string, string>>;
}
