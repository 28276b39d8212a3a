import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { Id } from "../../datasets/ids.ts";
import type { FollowingPage } from "../following-timeline.ts";
import type { AppOptions } from "./app.ts";
import { InvalidRequest } from "./invalid-request.ts";
import { problemResponses } from "./openapi.ts";
import { queryOf } from "./query.ts";

const MOST_POSTS = 200;
const USUAL_POSTS = 50;
/** Time and id of the last post of a page. */
const Cursor = /^(\d{1,16})\.(\d{1,20})$/;

const TimelineQuery = z.strictObject({
  limit: z.coerce
    .number()
    .pipe(z.int().min(1).max(MOST_POSTS))
    .default(USUAL_POSTS)
    .describe("Posts on the page"),
  cursor: z
    .string()
    .regex(Cursor, "is no cursor of an answer")
    .optional()
    .describe("From the page before; the newest posts when absent"),
});

/** The answer of `GET /v1/timelines/following/{user_id}`. */
export const TimelineResponseSchema = z.strictObject({
  items: z.array(
    z.strictObject({
      post_id: Id,
      author_id: Id,
      created_at_ms: z.int().min(0),
      in_reply_to_post_id: Id.optional(),
      repost_of_post_id: Id.optional(),
    }),
  ),
  cursor: z.string().nullable().describe("null: nothing follows"),
  position: z.int().min(0).describe("Place in the log that is reflected: `after` of /v1/stream"),
  degraded: z
    .array(z.enum(["timeline_store", "fan_out"]))
    .describe("What did not do its part; the posts were looked up by author and are complete"),
});

/** Reads the following timelines of one server. */
export interface Timelines {
  following(
    userId: string,
    request: {
      readonly limit: number;
      readonly after?: { readonly timeMs: number; readonly postId: string };
    },
  ): Promise<FollowingPage>;
  position(): number;
}

/** `GET /v1/timelines/following/{user_id}`: posts of followed accounts, newest first, without a model. */
export function timelineRoute(
  server: FastifyInstance,
  { timelines }: Required<Pick<AppOptions, "timelines">>,
): void {
  server.get<{ Params: { user_id: string }; Querystring: z.output<typeof TimelineQuery> }>(
    "/v1/timelines/following/:user_id",
    {
      schema: {
        summary: "Posts of followed accounts, newest first",
        tags: ["delivery"],
        querystring: queryOf(TimelineQuery),
        response: { 200: TimelineResponseSchema, ...problemResponses(400, 401) },
      },
    },
    async (request) => {
      const { user_id } = request.params;
      if (!Id.safeParse(user_id).success)
        throw new InvalidRequest([{ pointer: "", detail: "user_id in the path is no id" }]);
      const { limit, cursor } = request.query;
      const [, timeMs, postId] = Cursor.exec(cursor ?? "") ?? [];
      // Before the posts: what comes meanwhile is told again rather than missed.
      const position = timelines.position();
      const { posts, next, degraded } = await timelines.following(user_id, {
        limit,
        ...(postId !== undefined && { after: { timeMs: Number(timeMs), postId } }),
      });
      return {
        items: posts.map((post) => ({
          post_id: post.postId,
          author_id: post.authorId,
          created_at_ms: post.createdAtMs,
          ...(post.inReplyToPostId !== undefined && { in_reply_to_post_id: post.inReplyToPostId }),
          ...(post.repostOfPostId !== undefined && { repost_of_post_id: post.repostOfPostId }),
        })),
        cursor: next === undefined ? null : `${next.timeMs}.${next.postId}`,
        position,
        degraded: [...degraded],
      };
    },
  );
}
