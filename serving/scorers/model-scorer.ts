import { HEAD_BY_NAME, HEADS, type Head } from "../../datasets/heads.ts";
import { RoostError } from "../../errors.ts";
import { type BundleManifest, type Calibration, calibrateColumn } from "../../features/bundle.ts";
import type { ServedModel } from "../inference/inference.ts";
import { type CandidateTable, numberAt, numberColumn } from "../pipeline/candidate-table.ts";
import {
  featureMatrix,
  type HomeQuery,
  headColumn,
  idMatrix,
  type ModelStage,
  paramsOf,
} from "../pipeline/home-query.ts";
import type { Scored, Scorer } from "../pipeline/stages.ts";

export interface ModelScorerOptions {
  readonly timeoutMs: number;
  /** Leaves heads without weight out: for the light stage, whose thousands of rows nobody explains. */
  readonly weightedHeadsOnly?: boolean;
}

/**
 * Runs a stage's model over its matrices `<stage>_features` and `<stage>_ids` and writes one column
 * `<stage>_p_<head>` a head: calibrated, 0 behind a closed gate, composites from their parts. Heads that the bundle
 * masks are left out. Skipped when the query has no such model.
 */
export function modelScorer(stage: ModelStage, options: ModelScorerOptions): Scorer<HomeQuery> {
  return {
    name: `${stage}_model`,
    timeoutMs: options.timeoutMs,
    onFailure: "open",
    enabled: (query) => query.models[stage] !== undefined,
    score: async (query, table, signal) => {
      const { manifest, inference } = query.models[stage] as ServedModel;
      const features = matrixOf(
        table,
        featureMatrix(stage),
        manifest.features.length,
        Float32Array,
      );
      const ids = matrixOf(table, idMatrix(stage), manifest.ids.length, Int32Array);
      const outputs = await inference.run(features, ids, table.n, signal);
      const wanted = options.weightedHeadsOnly ? weightedHeads(query) : undefined;
      return { columns: headColumns(stage, query, manifest, table, outputs, wanted) };
    },
  };
}

function matrixOf<T extends Float32Array | Int32Array>(
  table: CandidateTable,
  name: string,
  width: number,
  kind: new (length: number) => T,
): T {
  if (width === 0) return new kind(0);
  const matrix = table.matrices.get(name);
  if (matrix === undefined) throw new RoostError("COLUMN_LENGTH", `there is no matrix ${name}`);
  if (matrix.width !== width || !(matrix.values instanceof kind))
    throw new RoostError("COLUMN_LENGTH", `${name} is not ${kind.name} [n, ${width}]`);
  return matrix.values;
}

/** Heads with a weight, and the parts of composites with one. */
function weightedHeads(query: HomeQuery): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { head } of query.weights.heads) {
    names.add(head.name);
    for (const part of head.composite ?? []) names.add(part);
  }
  return names;
}

function headColumns(
  stage: ModelStage,
  query: HomeQuery,
  manifest: BundleManifest,
  table: CandidateTable,
  outputs: Float32Array,
  wanted: ReadonlySet<string> | undefined,
): NonNullable<Scored["columns"]> {
  const { n } = table;
  const width = manifest.heads.length;
  if (outputs.length !== n * width)
    throw new RoostError(
      "COLUMN_LENGTH",
      `the model gave ${outputs.length} values, not ${n}×${width}`,
    );
  const byHead = new Map<string, Float64Array>();
  for (const [j, { name }] of manifest.heads.entries()) {
    const head = HEAD_BY_NAME.get(name);
    if (head === undefined || manifest.masked_heads.includes(name)) continue;
    if (wanted !== undefined && !wanted.has(name)) continue;
    const p = calibrateColumn(manifest.calibration[j] as Calibration, outputs, width, j);
    closeGate(head, table, p);
    byHead.set(name, p);
  }
  for (const head of HEADS as readonly Head[]) {
    if (head.composite === undefined || byHead.has(head.name)) continue;
    if (wanted !== undefined && !wanted.has(head.name)) continue;
    const composed = compose(head.composite, byHead, n);
    if (composed) byHead.set(head.name, composed);
  }
  const first = byHead.get("good_click");
  const second = byHead.get("good_click_v2");
  if (paramsOf(query).good_click_takes_best === 1 && first && second)
    for (let row = 0; row < n; row++)
      first[row] = Math.max(first[row] as number, second[row] as number);

  const columns: Record<string, Float64Array> = {};
  for (const [name, p] of byHead) columns[headColumn(stage, name)] = p;
  return columns;
}

/** Sets p to 0 where the head cannot happen. What is unknown leaves a gate open. */
function closeGate(head: Head, table: CandidateTable, p: Float64Array): void {
  if (head.gate === undefined) return;
  const name =
    head.gate === "out_of_network" || head.gate === "in_network" ? "in_network" : head.gate;
  const closedAt = head.gate === "out_of_network" ? 1 : 0;
  const column = numberColumn(table, name);
  for (let row = 0; row < p.length; row++) if (numberAt(column, row) === closedAt) p[row] = 0;
}

/** 1 − Π(1 − p) over the parts that the model has; undefined when it has none. */
function compose(
  parts: readonly string[],
  byHead: ReadonlyMap<string, Float64Array>,
  n: number,
): Float64Array | undefined {
  const known = parts.flatMap((part) => byHead.get(part) ?? []);
  if (known.length === 0) return undefined;
  const composed = new Float64Array(n);
  for (let row = 0; row < n; row++) {
    let none = 1;
    for (const p of known) none *= 1 - (p[row] as number);
    composed[row] = 1 - none;
  }
  return composed;
}
