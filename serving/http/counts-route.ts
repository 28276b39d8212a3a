import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { Id } from "../../datasets/ids.ts";
import { COUNTED_HEADS } from "../state/post-counts.ts";
import type { AppOptions } from "./app.ts";
import { problemResponses } from "./openapi.ts";
import { queryOf } from "./query.ts";

const MOST_POSTS = 200;

const CountsQuery = z.strictObject({
  post_ids: z
    .string()
    .transform((text) => text.split(","))
    .pipe(z.array(Id).min(1).max(MOST_POSTS))
    .describe(`Up to ${MOST_POSTS} ids, separated by commas`),
});

const Count = z.int().min(0);
const CountsResponse = z.strictObject({
  counts: z
    .record(Id, z.strictObject(Object.fromEntries(COUNTED_HEADS.map((head) => [head, Count]))))
    .describe("Post → users who did it and have not taken it back; zeros for unknown and deleted"),
});

/** `GET /v1/counts`: what is shown beneath posts. */
export function countsRoute(
  server: FastifyInstance,
  { counts }: Required<Pick<AppOptions, "counts">>,
): void {
  server.get<{ Querystring: z.output<typeof CountsQuery> }>(
    "/v1/counts",
    {
      schema: {
        summary: "How many users liked, answered, reposted, quoted and shared posts",
        tags: ["delivery"],
        querystring: queryOf(CountsQuery),
        response: { 200: CountsResponse, ...problemResponses(400, 401) },
      },
    },
    async (request) => ({
      counts: Object.fromEntries(request.query.post_ids.map((id) => [id, counts.of(id)])),
    }),
  );
}
