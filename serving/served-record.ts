import type { EventOf } from "../datasets/events.ts";
import { hash32 } from "../datasets/random.ts";
import { type CandidateTable, numberColumn } from "./pipeline/candidate-table.ts";
import { featureMatrix, type HomeQuery, LOG_POSITION } from "./pipeline/home-query.ts";
import type { Ranked } from "./pipeline/stages.ts";
import { explainRow } from "./scorers/explain-row.ts";

export interface ServedItem {
  readonly postId: string;
  readonly authorId: string;
  readonly score: number;
  readonly source: string;
  readonly inNetwork: boolean;
}

/** The rows of a table as they are answered and logged. */
export function servedItems(table: CandidateTable, rows: ArrayLike<number>): ServedItem[] {
  const inNetwork = numberColumn(table, "in_network");
  const items: ServedItem[] = [];
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    items.push({
      postId: table.postIds[row] as string,
      authorId: table.authorIds[row] as string,
      score: table.score[row] as number,
      source: table.sourceNames[table.source[row] as number] as string,
      inNetwork: inNetwork?.[row] === 1,
    });
  }
  return items;
}

/** The query as it was served: with the log position that the ranked features reflect. */
export function asServed(query: HomeQuery, table: CandidateTable): HomeQuery {
  const logPosition = numberColumn(table, LOG_POSITION)?.[0];
  return logPosition === undefined ? query : { ...query, logPosition };
}

/** The experiments that a request took part in. */
export function experimentsOf(query: Pick<HomeQuery, "assignments">) {
  return query.assignments
    .filter(({ inExperiment }) => inExperiment)
    .map(({ key, variation }) => ({ key, variation }));
}

/** Stage → version of the model that scored it. */
export function modelVersions({ models }: Pick<HomeQuery, "models">): Record<string, string> {
  return Object.fromEntries(
    Object.entries(models).map(([stage, model]) => [stage, model.manifest.version]),
  );
}

/** The `served` record of one page, without the candidates behind it. */
export function servedRecord(
  query: HomeQuery,
  requestId: string,
  nowMs: number,
  items: readonly ServedItem[],
): EventOf<"served"> {
  return {
    type: "served",
    time_ms: nowMs,
    request_id: requestId,
    user_id: query.viewerId,
    product: query.product,
    log_position: query.logPosition,
    experiments: experimentsOf(query),
    weights_checksum: query.weights.checksum,
    model_versions: modelVersions(query),
    policy: query.product === "for_you" ? `ranker:${query.weights.name}` : "chronological",
    deterministic: true,
    items: items.map((item) => ({
      post_id: item.postId,
      author_id: item.authorId,
      score: finite(item.score),
      source: item.source,
      in_network: item.inNetwork,
    })),
  };
}

/** Whether this request is in the sample that logs every heavy-scored candidate: a hash, so a replay decides alike. */
export function logsCandidates(requestId: string, share: number): boolean {
  return hash32(0, "candidate_log", requestId) < share * 0x100000000;
}

/** Every heavy-scored candidate with heads, multipliers and the feature vector that the model saw. */
export function servedCandidates({
  query,
  table,
}: Ranked<HomeQuery>): NonNullable<EventOf<"served">["candidates"]> {
  const createdAtMs = numberColumn(table, "created_at_ms");
  const inNetwork = numberColumn(table, "in_network");
  const matrix = table.matrices.get(featureMatrix("heavy"));
  return Array.from({ length: table.n }, (_, row) => {
    const { heads, multipliers } = explainRow(table, row, query.weights);
    return {
      post_id: table.postIds[row] as string,
      author_id: table.authorIds[row] as string,
      in_network: inNetwork?.[row] === 1,
      created_at_ms: createdAtMs?.[row] ?? 0,
      heads: Object.fromEntries(
        heads.flatMap(({ head, probability }) =>
          probability === null ? [] : [[head, probability]],
        ),
      ),
      multipliers: Object.fromEntries(multipliers.map(({ name, value }) => [name, value])),
      score: finite(table.score[row] as number),
      ...(matrix !== undefined && {
        features: Array.from(
          matrix.values.subarray(row * matrix.width, (row + 1) * matrix.width),
          (value) => (Number.isNaN(value) ? null : value),
        ),
      }),
    };
  });
}

const finite = (score: number): number => (Number.isFinite(score) ? score : 0);
