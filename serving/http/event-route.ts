import type { FastifyInstance } from "fastify";
import type { AppOptions } from "./app.ts";
import { eventBody, type SentEvents } from "./event-body.ts";
import { InvalidRequest } from "./invalid-request.ts";
import { problemResponses } from "./openapi.ts";
import { type EventsResponse, EventsResponseSchema } from "./schemas.ts";

/**
 * `POST /v1/events`. 200: every event is durable or was before. 207: some were refused, `results` says which and why.
 * 400: none was taken.
 */
export function eventRoute(server: FastifyInstance, { events, metrics, clock }: AppOptions): void {
  server.post<{ Body: SentEvents }>(
    "/v1/events",
    {
      schema: {
        summary: "Tell what happened: one event, an array of up to 1,000, or {events: [...]}",
        description:
          "Also lines of JSON as application/x-ndjson. Each event is taken or refused by itself. The answer is sent when the accepted events are on disk.",
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
      const { events: sent, places, malformed, pointers } = request.body;
      const { results } = await events.append(sent);
      const told: EventsResponse["results"] = [];
      results.forEach((result, i) => {
        told[places[i] as number] = { index: places[i] as number, ...result };
        metrics.eventsTaken(sent[i]?.type ?? "unknown", result.status);
      });
      for (const [index, errors] of malformed) {
        told[index] = { index, status: "refused", detail: "is malformed", errors: [...errors] };
        metrics.eventsTaken("malformed", "refused");
      }
      const count = (status: string): number =>
        told.filter((result) => result.status === status).length;
      const answer: EventsResponse = {
        accepted: count("accepted"),
        duplicates: count("duplicate"),
        refused: count("refused"),
        results: told,
      };
      if (answer.refused === told.length) throw allRefused(answer, pointers);
      return reply.code(answer.refused > 0 ? 207 : 200).send(answer);
    },
  );
}

function allRefused({ results }: EventsResponse, pointers: readonly string[]): InvalidRequest {
  const errors = results.flatMap(
    ({ index, detail, errors }) =>
      errors ?? [{ pointer: pointers[index] ?? "", detail: detail ?? "is refused" }],
  );
  return new InvalidRequest(errors, "BAD_EVENT");
}
