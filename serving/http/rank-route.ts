import type { FastifyInstance } from "fastify";
import { RoostError } from "../../errors.ts";
import type { RankRecord } from "../metrics/rank-record.ts";
import type { AppOptions } from "./app.ts";
import { problemResponses } from "./openapi.ts";
import { CallerGone, requestSignal, settleAfterAbort } from "./request-signal.ts";
import { type RankRequest, RankRequestSchema, RankResponseSchema } from "./schemas.ts";
import type { RankCall } from "./services.ts";
import { bodyOf } from "./validate.ts";

/** `POST /v1/rank`. Writes one `ranked` log line per validated request, answered or not. */
export function rankRoute(
  server: FastifyInstance,
  { rank, metrics, settings }: AppOptions,
  stopping: AbortSignal,
): void {
  server.post<{ Body: RankRequest }>(
    "/v1/rank",
    {
      schema: {
        summary: "Rank a home timeline",
        tags: ["ranking"],
        body: bodyOf(RankRequestSchema),
        response: {
          200: RankResponseSchema,
          ...problemResponses(400, 401, 403, 413, 415, 502, 503, 504),
        },
      },
    },
    async (request, reply) => {
      const ask = request.body;
      if (request.role !== "operator") refuseOperatorFields(ask);
      const { signal, release } = requestSignal(
        reply.raw,
        ask.deadline_ms ?? settings.defaultDeadlineMs,
        stopping,
      );
      const line = { product: ask.product, limit: ask.limit };
      let begun: RankRecord | undefined;
      const call: RankCall = {
        requestId: request.id,
        signal,
        begun: (record) => {
          begun = record;
        },
      };
      try {
        const { response, record } = await settleAfterAbort(
          rank.rank(ask, call),
          signal,
          settings.deadlineGraceMs,
        );
        metrics.ranked(record);
        request.log.info({ ...line, status: 200, ...recordLine(record) }, "ranked");
        return response;
      } catch (error) {
        const status =
          error instanceof CallerGone ? 499 : error instanceof RoostError ? error.status : 500;
        const code = error instanceof RoostError ? error.code : "INTERNAL";
        if (begun !== undefined) metrics.rankFailed(begun);
        request.log.info(
          {
            ...line,
            status,
            code: status === 499 ? "CALLER_GONE" : code,
            ...(begun !== undefined && recordLine(begun)),
          },
          "ranked",
        );
        throw error;
      } finally {
        release();
      }
    },
  );
}

/** @throws FORBIDDEN naming what only an operator may ask for */
function refuseOperatorFields(ask: RankRequest): void {
  const fields: string[] = (["weights", "explain"] as const).filter((field) => ask[field]);
  if (ask.context?.forced_variations) fields.push("context.forced_variations");
  if (fields.length > 0) {
    throw new RoostError("FORBIDDEN", `an operator's token is needed for: ${fields.join(", ")}`);
  }
}

/** Figures only: no viewer, no posts. */
function recordLine({ pipeline, items, weightsChecksum, modelVersions, experiments }: RankRecord) {
  return {
    items,
    pipeline_ms: pipeline.totalMs,
    stage_ms: pipeline.stageMs,
    // name → [ms, rows in, rows out]
    components: Object.fromEntries(
      pipeline.components
        .filter((part) => part.enabled)
        .map((part) => [part.name, [part.ms, part.rowsIn, part.rowsOut]]),
    ),
    degraded: pipeline.failures.map(({ component, kind }) => `${component}:${kind}`),
    weights_checksum: weightsChecksum,
    model_versions: modelVersions,
    experiments,
  };
}
