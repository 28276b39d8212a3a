import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerOptions } from "node:http";
import fastifySwagger from "@fastify/swagger";
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from "fastify";
import type { Logger } from "pino";
import { Busy, RoostError } from "../../errors.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { Settings } from "../settings.ts";
import { authorize, type Role } from "./authorize.ts";
import { answerClientError } from "./client-error.ts";
import { countsRoute } from "./counts-route.ts";
import { eventRoute } from "./event-route.ts";
import { InvalidRequest } from "./invalid-request.ts";
import { JsonBody, readJsonBody, readJsonLines } from "./json-body.ts";
import { openapiOptions } from "./openapi.ts";
import { operationRoutes } from "./operation-routes.ts";
import { PROBLEM_TYPE, problemOf } from "./problem.ts";
import { rankRoute } from "./rank-route.ts";
import { CallerGone } from "./request-signal.ts";
import type { Services } from "./services.ts";
import { streamRoute } from "./stream-route.ts";
import { timelineRoute } from "./timeline-route.ts";
import type { Body } from "./validate.ts";
import { versionRoutes } from "./version-routes.ts";
import { weightsRoute } from "./weights-route.ts";

declare module "fastify" {
  interface FastifyRequest {
    role: Role;
  }
}

export interface AppOptions extends Services {
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly settings: HttpSettings;
}

export type HttpSettings = Pick<
  Settings,
  | "bodyLimitBytes"
  | "maxHeaderBytes"
  | "requestTimeoutMs"
  | "defaultDeadlineMs"
  | "deadlineGraceMs"
  | "apiToken"
  | "operatorToken"
  | "streamConnections"
>;

/** The API without a port: `app.listen` opens one, `app.inject` asks without. `shutdown.ts` ends it. */
export interface App {
  readonly server: FastifyInstance;
  /** Aborting it aborts every ranking in flight. */
  readonly stopping: AbortController;
}

/** Builds the HTTP API over the given services. Every refusal is an RFC 9457 problem. */
export async function createApp(options: AppOptions): Promise<App> {
  const { logger, metrics, settings } = options;
  const stopping = new AbortController();
  const server: FastifyInstance = Fastify({
    http: { maxHeaderSize: settings.maxHeaderBytes } satisfies ServerOptions,
    bodyLimit: settings.bodyLimitBytes,
    requestTimeout: settings.requestTimeoutMs,
    // Its answer while closing is not a problem document; the hook below gives ours.
    return503OnClosing: false,
    forceCloseConnections: "idle",
    loggerInstance: logger as FastifyBaseLogger,
    logController: new LogController({
      disableRequestLogging: true,
      requestIdLogLabel: "request_id",
    }),
    // Ids name stored rankings and `served` records, so a caller cannot choose them.
    genReqId: (_request: IncomingMessage) => randomUUID(),
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => {
      void (reply as unknown as FastifyReply)
        .code(400)
        .type(PROBLEM_TYPE)
        .send(JSON.stringify(problemOf(error, request.id)));
    },
  });

  acceptJsonOnly(server);
  server.setValidatorCompiler(({ schema, httpPart }) => {
    const form = schema as unknown as Body<unknown>;
    return (sent: unknown) =>
      httpPart === "body" ? checked(form, bodyIn(sent)) : checked(form, new JsonBody(sent, []));
  });
  server.setSerializerCompiler(() => (value) => JSON.stringify(value));

  server.setErrorHandler((error, request, reply) => {
    if (error instanceof CallerGone) return reply.code(499).send();
    const problem = problemOf(error, request.id, request.routeOptions.url);
    if (problem.status >= 500) {
      request.log.error({ err: error, code: problem.code }, "request failed");
    }
    if (error instanceof Busy) reply.header("retry-after", error.retryAfterS);
    return reply.code(problem.status).type(PROBLEM_TYPE).send(JSON.stringify(problem));
  });

  countRequests(server, metrics);
  const methods = refuseUnknownRoutes(server);
  let closing = false;
  server.addHook("preClose", async () => {
    closing = true;
  });
  // Else a connection whose request finished while closing would be held open by its keep-alive.
  server.addHook("onSend", async (_request, reply) => {
    if (closing) reply.header("connection", "close");
  });
  server.decorateRequest("role", "caller");
  server.addHook("onRequest", async (request, reply) => {
    reply.header("x-request-id", request.id).header("x-content-type-options", "nosniff");
    if (closing) throw new RoostError("NOT_READY", "it is stopping");
    if (request.is404) {
      const path = request.raw.url?.split("?", 1)[0] ?? "/";
      const allowed = methods(path);
      if (allowed.length === 0) throw new RoostError("NOT_FOUND", "no such path");
      reply.header("allow", allowed.join(", "));
      throw new RoostError("METHOD_NOT_ALLOWED", `${request.method} is not one of ${allowed}`);
    }
    if (request.routeOptions.url?.startsWith("/v1/")) {
      request.role = authorize(request.headers.authorization, settings);
    }
  });

  await server.register(fastifySwagger, openapiOptions);
  rankRoute(server, options, stopping.signal);
  eventRoute(server, options);
  weightsRoute(server, options);
  if (options.versions !== undefined) versionRoutes(server, options.versions, options.clock);
  const { counts, newPosts, timelines } = options;
  if (timelines !== undefined) timelineRoute(server, { timelines });
  if (counts !== undefined) countsRoute(server, { counts });
  if (newPosts !== undefined) streamRoute(server, { ...options, newPosts });
  operationRoutes(server, options);
  await server.ready();
  return { server, stopping };
}

const bodyIn = (sent: unknown): JsonBody =>
  sent instanceof JsonBody ? sent : new JsonBody(undefined, []);

function checked(form: Body<unknown>, { value, errors }: JsonBody) {
  const read = form.validate(value, errors);
  return read.errors === undefined
    ? { value: read.value }
    : { error: new InvalidRequest(read.errors) };
}

const EVENTS_PATH = "/v1/events";

/** JSON everywhere, and lines of JSON where events are taken. */
function acceptJsonOnly(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser(
    "application/json",
    { parseAs: "buffer" },
    async (request: FastifyRequest, bytes: Buffer) => {
      refuseEncodings(request.headers);
      return readJsonBody(bytes);
    },
  );
  server.addContentTypeParser(
    "application/x-ndjson",
    { parseAs: "buffer" },
    async (request: FastifyRequest, bytes: Buffer) => {
      if (request.routeOptions.url !== EVENTS_PATH)
        throw new RoostError(
          "UNSUPPORTED_MEDIA_TYPE",
          `lines of JSON are taken by ${EVENTS_PATH} only`,
        );
      refuseEncodings(request.headers);
      return readJsonLines(bytes);
    },
  );
}

function refuseEncodings(headers: IncomingMessage["headers"]): void {
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(headers["content-type"] ?? "")?.[1];
  if (charset !== undefined && !/^utf-?8$/i.test(charset))
    throw new RoostError("UNSUPPORTED_MEDIA_TYPE", "the charset is not UTF-8");
  const encoding = headers["content-encoding"];
  if (encoding !== undefined && encoding.toLowerCase() !== "identity")
    throw new RoostError("UNSUPPORTED_MEDIA_TYPE", "the body has a content-encoding");
}

function countRequests(server: FastifyInstance, metrics: Metrics): void {
  server.addHook("onRequest", async () => metrics.requestStarted());
  server.addHook("onResponse", async (request, reply) => {
    const route = request.is404 ? "unknown" : (request.routeOptions.url ?? "unknown");
    const method = request.is404 ? "any" : request.method;
    metrics.requestEnded(route, method, reply.statusCode, reply.elapsedTime / 1_000);
  });
}

/** Says which methods a path takes, for 405. Must stand before the routes. */
function refuseUnknownRoutes(server: FastifyInstance): (path: string) => string[] {
  const taken = new Set<string>();
  server.addHook("onRoute", ({ method }) => {
    for (const name of [method].flat()) taken.add(name);
  });
  return (path) =>
    [...taken].filter(
      (method) => server.findRoute({ method: method as "GET", url: path }) !== null,
    );
}
