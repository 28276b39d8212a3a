import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { RoostError } from "../../errors.ts";
import type { VersionStore } from "../versions/version-store.ts";
import { InvalidRequest } from "./invalid-request.ts";
import { problemResponses } from "./openapi.ts";
import type { ServerClock } from "./services.ts";
import { bodyOf } from "./validate.ts";

const Checksum = z.string().min(1).max(200);

const VersionResponse = z.strictObject({
  kind: z.string(),
  checksum: z.string(),
  text: z.string(),
  path: z.string().describe("Where it was first read from"),
  created_ms: z.int(),
});

const Pointer = z.strictObject({ checksum: z.string(), revision: z.int().min(1) });
const AuditLine = z.strictObject({
  kind: z.string(),
  name: z.string(),
  revision: z.int(),
  from: z.string().nullable(),
  to: z.string(),
  by: z.string(),
  at_ms: z.int(),
});

const MoveRequest = z
  .strictObject({
    from: Checksum.nullable().describe("The checksum you saw in force; null = none yet"),
    to: Checksum.optional().describe("A version kept before"),
    text: z.string().min(1).max(1_000_000).optional().describe("A new version's text"),
    by: z.string().min(1).max(200).describe("Who moves it, for the audit line"),
  })
  .refine((move) => (move.to === undefined) !== (move.text === undefined), {
    path: ["to"],
    message: "give either `to` or `text`",
  })
  .describe("Puts a version in force if `from` still is");

type Named = { Params: { kind: string; name: string } };

/** Reading versions, what is in force and its audit lines; moving a pointer by compare-and-swap. */
export function versionRoutes(
  server: FastifyInstance,
  versions: VersionStore,
  clock: ServerClock,
): void {
  const tags = ["versions"];
  server.get<{ Params: { checksum: string } }>(
    "/v1/versions/:checksum",
    {
      schema: {
        summary: "The content of a checksum, for ever",
        tags,
        response: { 200: VersionResponse, ...problemResponses(401, 404) },
      },
    },
    async ({ params: { checksum } }) => {
      const version = versions.resolve(checksum);
      if (version === undefined) throw new RoostError("NOT_FOUND", "no version has this checksum");
      return version;
    },
  );
  server.get<Named>(
    "/v1/versions/:kind/:name",
    {
      schema: {
        summary: "What is in force under a name, and every move of it",
        tags,
        response: {
          200: z.strictObject({ current: Pointer, audit: z.array(AuditLine) }),
          ...problemResponses(401, 404),
        },
      },
    },
    async ({ params: { kind, name } }) => {
      const current = versions.current(kind, name);
      if (current === undefined) throw new RoostError("NOT_FOUND", "no version is in force there");
      return { current, audit: versions.audit(kind, name) };
    },
  );
  server.put<Named & { Body: z.output<typeof MoveRequest> }>(
    "/v1/versions/:kind/:name",
    {
      schema: {
        summary: "Put a version in force",
        tags,
        body: bodyOf(MoveRequest),
        response: { 200: Pointer, ...problemResponses(400, 401, 403, 404, 409) },
      },
    },
    async ({ params: { kind, name }, body, role }) => {
      if (role !== "operator") throw new RoostError("FORBIDDEN", "an operator's token is needed");
      const nowMs = clock.nowMs();
      const to = body.to ?? (await putText(versions, kind, body.text ?? "", nowMs));
      return versions.move({ kind, name, from: body.from, to, by: `api:${body.by}`, nowMs });
    },
  );
}

async function putText(
  versions: VersionStore,
  kind: string,
  text: string,
  nowMs: number,
): Promise<string> {
  try {
    return await versions.put(kind, text, "text", nowMs);
  } catch (error) {
    // Here the text is the caller's, not the deployment's.
    if (!(error instanceof RoostError) || error.code !== "BAD_CONFIG") throw error;
    throw new InvalidRequest([{ pointer: "/text", detail: error.message }]);
  }
}
