import type { FastifyDynamicSwaggerOptions } from "@fastify/swagger";
import type { FastifySchema } from "fastify";
import { z } from "zod";
import { ProblemSchema } from "./schemas.ts";
import type { Body } from "./validate.ts";

const MEANINGS: Readonly<Record<number, string>> = {
  200: "Answered",
  207: "Partly refused",
  400: "The request is not valid",
  401: "No valid token",
  403: "Not allowed with this token",
  404: "Nothing is there",
  409: "The version in force moved meanwhile",
  413: "The body is too large",
  415: "Not JSON in UTF-8",
  502: "A required component failed",
  503: "Not ready, or too busy",
  504: "The deadline passed",
};

/** The problems that a route may answer with. */
export function problemResponses(...statuses: number[]): Record<number, z.ZodType> {
  return Object.fromEntries(statuses.map((status) => [status, ProblemSchema]));
}

/** Settings of `@fastify/swagger`: every schema of the document is made from the Zod schema that checks the body. */
export const openapiOptions: FastifyDynamicSwaggerOptions = {
  openapi: {
    openapi: "3.1.0",
    info: {
      title: "Roost",
      version: "1",
      description: "Home-timeline ranking. Every refusal is a problem document (RFC 9457).",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    components: {
      securitySchemes: {
        bearer: {
          type: "http",
          scheme: "bearer",
          description: "ROOST_API_TOKEN or ROOST_OPERATOR_TOKEN, where the server has one",
        },
      },
    },
    tags: [
      { name: "ranking", description: "What a user should see now" },
      { name: "events", description: "What happened" },
      { name: "delivery", description: "What is new, and what is shown beneath posts" },
      { name: "versions", description: "Configuration versions and what is in force" },
      { name: "operation", description: "State of the server" },
    ],
  },
  transform: ({ schema, url }) => ({ schema: documented(schema), url }),
};

function documented(schema: FastifySchema | undefined): FastifySchema {
  if (schema === undefined) return {};
  const { body, querystring, response, ...rest } = schema;
  const converted: FastifySchema = { ...rest };
  if (querystring !== undefined)
    converted.querystring = toJson((querystring as Body<unknown>).schema);
  if (body !== undefined) converted.body = toJson((body as Body<unknown>).schema);
  if (response !== undefined) {
    converted.response = Object.fromEntries(
      Object.entries(response as Record<string, z.ZodType>).map(([status, type]) => [
        status,
        documentedResponse(Number(status), type),
      ]),
    );
  }
  return converted;
}

function documentedResponse(status: number, type: z.ZodType) {
  const mediaType =
    status >= 400 && type === ProblemSchema ? "application/problem+json" : "application/json";
  return {
    description: MEANINGS[status] ?? String(status),
    content: { [mediaType]: { schema: toJson(type, "output") } },
  };
}

function toJson(schema: z.ZodType, io: "input" | "output" = "input"): Record<string, unknown> {
  const { $schema: _, ...json } = z.toJSONSchema(schema, {
    target: "draft-7",
    io,
    override: ({ zodSchema, jsonSchema }) => {
      // The server's clock fills an absent time_ms in, before the schema sees the event.
      if (zodSchema._zod.def.type !== "object" || io !== "input") return;
      const required = jsonSchema.required?.filter((name) => name !== "time_ms");
      if (required !== undefined) jsonSchema.required = required;
    },
  });
  return json;
}
