import Fastify, { type FastifyInstance } from "fastify";
import { expect, test } from "vitest";
import { ENGAGEMENT_HEADS, HEADS } from "../../datasets/heads.ts";
import { random } from "../../datasets/random.ts";
import { ERROR_CODES } from "../../errors.ts";
import { testApp } from "./app.fixture.ts";
import { malformedBodies, validEvent, validRank } from "./malformed-bodies.fixture.ts";

interface OpenApi {
  openapi: string;
  paths: Record<
    string,
    Record<
      string,
      {
        summary?: string;
        requestBody?: { content: Record<string, { schema: Record<string, unknown> }> };
        responses: Record<
          string,
          { description: string; content: Record<string, { schema: object }> }
        >;
      }
    >
  >;
}

const app = await testApp();
const document: OpenApi = (await app.server.inject("/openapi.json")).json();
const bodySchema = (path: string) =>
  document.paths[path]?.post?.requestBody?.content["application/json"]?.schema ?? {};

test("the document lists every public path with a summary and the problems it answers", () => {
  expect(document.openapi).toMatch(/^3\.1/);
  expect(Object.keys(document.paths).sort()).toEqual([
    "/livez",
    "/readyz",
    "/v1/events",
    "/v1/rank",
    "/v1/weights",
  ]);
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const operation of Object.values(methods)) {
      expect(operation.summary, path).toBeTruthy();
      for (const [status, response] of Object.entries(operation.responses)) {
        expect(response.description).toBeTruthy();
        const types = Object.keys(response.content);
        const probe = path === "/livez" || path === "/readyz";
        expect(types).toEqual([
          Number(status) >= 400 && !probe ? "application/problem+json" : "application/json",
        ]);
      }
    }
  }
});

test("heads in the document are those of the head table", () => {
  const rank = bodySchema("/v1/rank") as { properties: { weights: { properties: object } } };
  expect(Object.keys(rank.properties.weights.properties)).toEqual(HEADS.map(({ name }) => name));
  const text = JSON.stringify(bodySchema("/v1/events"));
  for (const { name } of ENGAGEMENT_HEADS) expect(text).toContain(`"${name}"`);
  expect(text).not.toContain('"served"');
});

test("Ajv, given the published schemas, decides on bodies as the server does", async () => {
  const ajv = Fastify({
    ajv: {
      customOptions: {
        coerceTypes: false,
        removeAdditional: false,
        useDefaults: false,
        strict: false,
      },
    },
  });
  for (const path of ["/v1/rank", "/v1/events"]) {
    ajv.post(path, { schema: { body: bodySchema(path) } }, async () => "taken");
  }
  const send = async (to: FastifyInstance, url: string, payload: Buffer) =>
    (
      await to.inject({
        method: "POST",
        url,
        headers: { "content-type": "application/json" },
        payload,
      })
    ).statusCode === 200;
  // What JSON Schema cannot say, or Fastify's own JSON reader lets pass.
  const ours = new Set([
    "a member given twice",
    "half a surrogate pair",
    "another encoding",
    "a member __proto__",
  ]);
  let refusedByBoth = 0;
  for (const { url, how, bytes } of malformedBodies(600, 77)) {
    if (ours.has(how) || bytes.includes("18446744073709551616")) continue;
    expect(await send(ajv, url, bytes), `${how}: ${bytes.subarray(0, 200)}`).toBe(false);
    refusedByBoth++;
  }
  expect(refusedByBoth).toBeGreaterThan(300);
  for (let i = 0; i < 60; i++) {
    const rank = Buffer.from(JSON.stringify(validRank(random(3, i))));
    const event = validEvent(random(3, i));
    const { time_ms: _, ...timeless } = event;
    expect(await send(ajv, "/v1/rank", rank)).toBe(true);
    for (const body of [event, timeless, [event, timeless], { events: [event] }]) {
      expect(
        await send(ajv, "/v1/events", Buffer.from(JSON.stringify(body))),
        JSON.stringify(body),
      ).toBe(true);
    }
  }
});

test("the docs page tells every path, every request field and every error code, and loads nothing", async () => {
  const page = await app.server.inject("/docs");
  expect(page.headers["content-type"]).toMatch(/^text\/html/);
  expect(page.headers["content-security-policy"]).toContain("default-src 'none'");
  for (const path of Object.keys(document.paths)) expect(page.body).toContain(path);
  const rank = bodySchema("/v1/rank") as { properties: object };
  for (const field of Object.keys(rank.properties))
    expect(page.body).toContain(`<code>${field}</code>`);
  for (const code of Object.keys(ERROR_CODES)) expect(page.body).toContain(`<tr id="${code}">`);
  expect(page.body).toContain("<summary>impression</summary>");
  expect(page.body).not.toMatch(/<script|<link|src=|https?:\/\//);
});
