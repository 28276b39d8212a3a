import type { FailurePolicy } from "./stages.ts";

export const STAGES = [
  "query_hydrators",
  "sources",
  "merge",
  "hydrators",
  "filters",
  "light_hydrators",
  "light_scorers",
  "light_cut",
  "heavy_hydrators",
  "heavy_scorers",
  "adjusting_scorers",
  "selection",
  "side_effects",
] as const;
export type StageName = (typeof STAGES)[number];

/** `late`: past its own timeout. `deadline`: cut, or not started, because the request's time was up. */
export type FailureKind = "failed" | "late" | "deadline" | "wrong_length" | "not_finite";

export interface Failure {
  readonly component: string;
  readonly stage: StageName;
  readonly kind: FailureKind;
  readonly policy: FailurePolicy;
  readonly detail: string;
  /** How many rows it concerns, when not all. */
  readonly rows?: number;
  readonly error?: unknown;
}

/** One component's part in a request. */
export interface ComponentRun {
  readonly stage: StageName;
  readonly name: string;
  /** Why it drops candidates, where it gives no rule for each. */
  readonly rule: string;
  /** False when its `enabled` said no. */
  enabled: boolean;
  rowsIn: number;
  rowsOut: number;
  ms: number;
}

/** Every candidate that any source brought, duplicates included, in order of arrival: dropped ones keep their place. */
export interface CandidateLog {
  postIds: readonly string[];
  authorIds: readonly string[];
  source: Uint8Array;
  sourceNames: readonly string[];
  /** Index into `components` of what dropped the candidate; −1 = on the page. */
  droppedBy: Int16Array;
  /** The rule's text, where the component gave one. */
  readonly rules: Map<number, string>;
}

/** What happened in a request: the one source of its log line, of metrics, of explain and of `degraded`. */
export class RequestRecord {
  readonly components: ComponentRun[] = [];
  readonly stageMs: Partial<Record<StageName, number>> = {};
  readonly failures: Failure[] = [];
  readonly candidates: CandidateLog = {
    postIds: [],
    authorIds: [],
    source: new Uint8Array(0),
    sourceNames: [],
    droppedBy: new Int16Array(0),
    rules: new Map(),
  };
  /** Milliseconds until the page was ready. */
  totalMs = 0;
  readonly #index = new Map<string, number>();

  /** The index in `components` of this component, added when it is new. `rule`: why it drops candidates. */
  component(stage: StageName, name: string, rule = name): number {
    const known = this.#index.get(name);
    if (known !== undefined) return known;
    const index = this.components.length;
    this.components.push({ stage, name, rule, enabled: true, rowsIn: 0, rowsOut: 0, ms: 0 });
    this.#index.set(name, index);
    return index;
  }

  run(stage: StageName, name: string): ComponentRun {
    return this.components[this.component(stage, name)] as ComponentRun;
  }

  /** Notes that a component dropped a candidate, by its place in `candidates`. */
  drop(origin: number, component: number, rule?: string): void {
    this.candidates.droppedBy[origin] = component;
    if (rule !== undefined) this.candidates.rules.set(origin, rule);
  }

  /** Takes a drop back. */
  restore(origin: number): void {
    this.candidates.droppedBy[origin] = -1;
    this.candidates.rules.delete(origin);
  }

  /** The components that did not do their part, each kind once, in order of failing. */
  degraded(): { component: string; kind: FailureKind }[] {
    const seen = new Set<string>();
    const list: { component: string; kind: FailureKind }[] = [];
    for (const { component, kind } of this.failures) {
      if (seen.has(`${component} ${kind}`)) continue;
      seen.add(`${component} ${kind}`);
      list.push({ component, kind });
    }
    return list;
  }

  /** Every dropped candidate with the component and rule that dropped it. */
  dropped(): { post_id: string; source: string; component: string; rule: string }[] {
    const { postIds, source, sourceNames, droppedBy, rules } = this.candidates;
    const list: { post_id: string; source: string; component: string; rule: string }[] = [];
    for (let i = 0; i < droppedBy.length; i++) {
      const by = this.components[droppedBy[i] as number];
      if (by === undefined) continue;
      list.push({
        post_id: postIds[i] as string,
        source: sourceNames[source[i] as number] as string,
        component: by.name,
        rule: rules.get(i) ?? by.rule,
      });
    }
    return list;
  }
}
