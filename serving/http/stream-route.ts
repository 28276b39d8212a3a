import type { ServerResponse } from "node:http";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { Id } from "../../datasets/ids.ts";
import { Busy } from "../../errors.ts";
import type { NewPosts, NewPostsCount } from "../state/new-posts.ts";
import type { AppOptions } from "./app.ts";
import { problemResponses } from "./openapi.ts";
import { queryOf } from "./query.ts";

/** Posts come together; a pill that moves more often than this only flickers. */
const FLUSH_MS = 500;
/** Shorter than the minute after which proxies give a silent connection up. */
const HEARTBEAT_MS = 15_000;
/** A client that has read nothing for so long is gone. */
const STALLED_MS = 60_000;
/** What a client is told to wait before it connects again. */
const RETRY_MS = 3_000;
/** When a client that found no place may ask for one again; meanwhile it polls. */
const FULL_RETRY_S = 60;

const After = z.coerce
  .number()
  .pipe(z.int().min(0))
  .optional()
  .describe("Place in the log that the viewer has loaded, from an earlier answer; now when absent");
const StreamQuery = z.strictObject({ user_id: Id, after: After });

const NewPostsResponse = z.strictObject({
  new_posts: z.int().min(0).describe("Posts of followed accounts since `after`, at most 200"),
  exact: z.boolean().describe("false: there may be more, load the timeline"),
  after: z.int().min(0).describe("Place in the log since which was counted"),
  position: z.int().min(0).describe("Place in the log up to which was counted"),
});

/**
 * `GET /v1/stream`: Server-Sent Events with the number of posts that came, without their content, for a pill above the
 * timeline. `GET /v1/stream/poll` answers the same once, for clients that find no place.
 *
 * One message is kept a connection, the newest: a slow reader costs no memory and misses nothing but intermediate numbers.
 * Every message's id says since where and up to where was counted, so that a client that connects again with
 * Last-Event-ID goes on as if it had never left.
 */
export function streamRoute(
  server: FastifyInstance,
  { newPosts, settings, metrics }: Required<Pick<AppOptions, "newPosts">> & AppOptions,
): void {
  const open = new Set<Stream>();
  const gauge = metrics.streams();
  server.addHook("preClose", async () => {
    for (const stream of open) stream.end();
  });
  const schema = {
    tags: ["delivery"],
    querystring: queryOf(StreamQuery),
  };

  server.get<{ Querystring: z.output<typeof StreamQuery> }>(
    "/v1/stream",
    {
      schema: {
        ...schema,
        summary: "Server-Sent Events: how many posts of followed accounts came",
        response: { ...problemResponses(400, 401, 503) },
      },
    },
    async (request, reply) => {
      if (open.size >= settings.streamConnections)
        throw new Busy("STREAMS_FULL", `${open.size} are open`, FULL_RETRY_S);
      const { user_id, after } = request.query;
      const resumed = /^(\d{1,15})\.\d{1,15}$/.exec(String(request.headers["last-event-id"] ?? ""));
      const from = resumed === null ? (after ?? newPosts.position) : Number(resumed[1]);
      reply.hijack();
      for (const [name, value] of Object.entries(reply.getHeaders()))
        if (value !== undefined) reply.raw.setHeader(name, value);
      const stream = new Stream(reply.raw, newPosts, user_id, from);
      open.add(stream);
      gauge.inc();
      reply.raw.once("close", () => {
        stream.end();
        open.delete(stream);
        gauge.dec();
      });
    },
  );

  server.get<{ Querystring: z.output<typeof StreamQuery> }>(
    "/v1/stream/poll",
    {
      schema: {
        ...schema,
        summary: "How many posts of followed accounts came, asked once",
        response: { 200: NewPostsResponse, ...problemResponses(400, 401) },
      },
    },
    async (request) => {
      const after = request.query.after ?? newPosts.position;
      return message(newPosts.since(request.query.user_id, after), after);
    },
  );
}

const message = ({ count, exact, position }: NewPostsCount, after: number) => ({
  new_posts: count,
  exact,
  after,
  position,
});

/** One connection: at most one message waits, the newest. */
class Stream {
  readonly #response: ServerResponse;
  readonly #newPosts: NewPosts;
  readonly #userId: string;
  readonly #after: number;
  readonly #unwatch: () => void;
  readonly #heartbeat: NodeJS.Timeout;
  #flush: NodeJS.Timeout | undefined;
  #stalled: NodeJS.Timeout | undefined;
  #told = -1;
  #ended = false;

  constructor(response: ServerResponse, newPosts: NewPosts, userId: string, after: number) {
    this.#response = response;
    this.#newPosts = newPosts;
    this.#userId = userId;
    this.#after = after;
    response.writeHead(200, {
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      // Proxies of the nginx family would hold messages back.
      "x-accel-buffering": "no",
    });
    response.write(`retry: ${RETRY_MS}\n\n`);
    this.#unwatch = newPosts.watch(userId, () => this.#due());
    this.#heartbeat = setInterval(() => {
      this.#write(": still here\n\n");
      // Whom the viewer follows since connecting is not watched.
      this.#send();
    }, HEARTBEAT_MS);
    response.on("drain", () => {
      clearTimeout(this.#stalled);
      this.#stalled = undefined;
      this.#due();
    });
    this.#send();
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#unwatch();
    clearInterval(this.#heartbeat);
    clearTimeout(this.#flush);
    clearTimeout(this.#stalled);
    this.#response.end();
  }

  #due(): void {
    if (this.#flush !== undefined || this.#ended) return;
    this.#flush = setTimeout(() => {
      this.#flush = undefined;
      this.#send();
    }, FLUSH_MS);
  }

  #send(): void {
    // A reader that lags gets the newest number when it has caught up.
    if (this.#ended || this.#stalled !== undefined) return;
    const now = this.#newPosts.since(this.#userId, this.#after);
    if (now.count === this.#told) return;
    this.#told = now.count;
    const data = JSON.stringify(message(now, this.#after));
    this.#write(`event: new_posts\nid: ${this.#after}.${now.position}\ndata: ${data}\n\n`);
  }

  #write(text: string): void {
    if (this.#ended || this.#stalled !== undefined) return;
    if (!this.#response.write(text))
      this.#stalled = setTimeout(() => this.#response.destroy(), STALLED_MS);
  }
}
