import type { FastifyInstance } from "fastify";
import type { AppOptions } from "./app.ts";
import { eventBody, type SentEvents } from "./event-body.ts";
import { InvalidRequest } from "./invalid-request.ts";
import { problemResponses } from "./openapi.ts";
import { type EventsResponse, EventsResponseSchema } from "./schemas.ts";

/**
 * `POST /v1/events`. 200: every event is durable or was before. 207: some were refused, `results` says which.
 * 400: none was taken.
 */
export function eventRoute(server: FastifyInstance, { events, metrics, clock }: AppOptions): void {
  server.post<{ Body: SentEvents }>(
    "/v1/events",
    {
      schema: {
        summary: "Tell what happened: one event, an array of up to 1,000, or {events: [...]}",
        description:
          "Malformed events refuse the whole batch (400). The answer is sent when the accepted events are on disk.",
        tags: ["events"],
        body: eventBody(clock),
        response: {
          200: EventsResponseSchema,
          207: EventsResponseSchema,
          ...problemResponses(400, 401, 413, 415, 503),
        },
      },
    },
    async (request, reply) => {
      const { events: sent, pointers } = request.body;
      const { results } = await events.append(sent);
      const answer: EventsResponse = { accepted: 0, duplicates: 0, refused: 0, results: [] };
      results.forEach((result, index) => {
        answer.results.push({ index, ...result });
        if (result.status === "accepted") answer.accepted++;
        else if (result.status === "duplicate") answer.duplicates++;
        else answer.refused++;
        metrics.eventsTaken(sent[index]?.type ?? "unknown", result.status);
      });
      if (answer.refused === results.length) throw allRefused(answer, pointers);
      return reply.code(answer.refused > 0 ? 207 : 200).send(answer);
    },
  );
}

function allRefused({ results }: EventsResponse, pointers: readonly string[]): InvalidRequest {
  const errors = results.map(({ index, detail }) => ({
    pointer: pointers[index] ?? "",
    detail: detail ?? "is refused",
  }));
  return new InvalidRequest(errors, "BAD_EVENT");
}
