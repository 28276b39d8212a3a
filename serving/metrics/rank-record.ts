/** The pipeline's account of one request: the one source of the log line, of `/metrics` and of the console's funnel. */
export interface RankRecord {
  readonly product: string;
  /** Every component that ran, in the order of the pipeline. */
  readonly components: readonly ComponentRecord[];
  readonly failures: readonly ComponentFailure[];
  /** Posts on the page. */
  readonly items: number;
  /** Wall time inside the pipeline. */
  readonly totalMs: number;
  readonly weightsChecksum: string;
  readonly experiments: readonly { readonly key: string; readonly variation: number }[];
  readonly modelVersions: Readonly<Record<string, string>>;
}

export interface ComponentRecord {
  readonly stage: string;
  readonly component: string;
  readonly ms: number;
  /** Rows before and after it; a component that adds rows has more out than in. */
  readonly rowsIn: number;
  readonly rowsOut: number;
}

export interface ComponentFailure {
  readonly component: string;
  /** `failed`, `late`, `wrong_length`, `not_finite` … */
  readonly kind: string;
}
