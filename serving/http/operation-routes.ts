import type { FastifyInstance } from "fastify";
import type { AppOptions } from "./app.ts";
import { DOCS_POLICY, renderDocs } from "./docs-page.ts";
import { LiveSchema, ReadySchema } from "./schemas.ts";

/** `/livez`, `/readyz`, `/metrics`, `/openapi.json`, `/docs`: open to probes and scrapers, without a token. */
export function operationRoutes(server: FastifyInstance, { health, metrics }: AppOptions): void {
  const tags = ["operation"];
  server.get(
    "/livez",
    {
      schema: {
        summary: "Whether the process works",
        tags,
        response: { 200: LiveSchema, 503: LiveSchema },
      },
    },
    async (_request, reply) => {
      const live = health.live();
      return reply.code(live ? 200 : 503).send({ live });
    },
  );
  server.get(
    "/readyz",
    {
      schema: {
        summary: "Whether it can answer rankings, and what is missing",
        tags,
        response: { 200: ReadySchema, 503: ReadySchema },
      },
    },
    async (_request, reply) => {
      const ready = health.ready();
      return reply.code(ready.ready ? 200 : 503).send(ready);
    },
  );
  server.get("/metrics", { schema: { hide: true } }, async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.text()),
  );

  let docs: string | undefined;
  server.get("/openapi.json", { schema: { hide: true } }, async (_request, reply) =>
    reply.type("application/json").send(JSON.stringify(server.swagger())),
  );
  server.get("/docs", { schema: { hide: true } }, async (_request, reply) => {
    docs ??= renderDocs(server.swagger());
    return reply
      .type("text/html; charset=utf-8")
      .header("content-security-policy", DOCS_POLICY)
      .send(docs);
  });
}
