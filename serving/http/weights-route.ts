import type { FastifyInstance } from "fastify";
import type { AppOptions } from "./app.ts";
import { problemResponses } from "./openapi.ts";
import { WeightsResponseSchema } from "./schemas.ts";

/** `GET /v1/weights`: the weights in force. */
export function weightsRoute(server: FastifyInstance, { weights }: AppOptions): void {
  server.get(
    "/v1/weights",
    {
      schema: {
        summary: "The weights in force",
        tags: ["ranking"],
        response: { 200: WeightsResponseSchema, ...problemResponses(401) },
      },
    },
    async (_request, reply) => {
      const current = weights.current();
      return reply.header("etag", `"${current.checksum}"`).send(current);
    },
  );
}
