import fc from "fast-check";
import { expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import { type TestApp, testApp } from "./app.fixture.ts";
import { pointerPath } from "./json-pointer.ts";
import { malformedBodies, validEvent, validRank } from "./malformed-bodies.fixture.ts";
import { EventsResponseSchema, ProblemSchema } from "./schemas.ts";

const SEED = 20_260_101;
const clock = { kind: "wall", nowMs: () => 2e9 } as const;
const send = (app: TestApp, url: string, payload: Buffer) =>
  app.server.inject({
    method: "POST",
    url,
    headers: { "content-type": "application/json" },
    payload,
  });

/** Whether a pointer names a member of the body, or one that is missing from an object of it. */
function resolves(pointer: string, body: unknown): boolean {
  const path = pointerPath(pointer);
  let at = body;
  for (const [i, token] of path.entries()) {
    if (typeof at !== "object" || at === null) return false;
    if (!Object.hasOwn(at, token)) return i === path.length - 1 && !Array.isArray(at);
    at = (at as Record<string, unknown>)[token];
  }
  return true;
}

interface Answer {
  readonly statusCode: number;
  readonly headers: object;
  readonly body: string;
}

/** Checks that of a batch of three the middle one is refused, the others taken; gives the pointers of what is wrong. */
function refusedAmongValid(answer: Answer, sent: Buffer): string[] {
  const { results } = EventsResponseSchema.parse(JSON.parse(answer.body));
  expect(results.map(({ status }) => status)).toEqual(["accepted", "refused", "accepted"]);
  const pointers = results[1]?.errors?.map(({ pointer }) => pointer) ?? [];
  expect(pointers.length).toBeGreaterThan(0);
  expect(new Set(pointers).size, `each place once: ${pointers}`).toBe(pointers.length);
  const body: unknown = JSON.parse(sent.toString());
  for (const pointer of pointers)
    expect(resolves(pointer, body), `${pointer} in ${sent.subarray(0, 300)}`).toBe(true);
  return pointers;
}

/** Checks that one answer is a 4xx problem whose pointers resolve; gives its pointers. */
function refused(answer: Answer, sent: Buffer): string[] {
  const shown = `${answer.statusCode} to ${sent.subarray(0, 300)}`;
  expect(answer.statusCode, shown).toBe(400);
  expect(answer.headers).toHaveProperty(
    "content-type",
    expect.stringMatching(/^application\/problem\+json/),
  );
  const problem = ProblemSchema.parse(JSON.parse(answer.body));
  expect(problem.code).toBe("BAD_REQUEST");
  const pointers = problem.errors?.map(({ pointer }) => pointer) ?? [];
  expect(pointers.length, shown).toBeGreaterThan(0);
  expect(new Set(pointers).size, `each place once: ${pointers}`).toBe(pointers.length);
  let body: unknown;
  try {
    body = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(sent));
  } catch {
    expect(pointers, shown).toEqual([""]);
    return pointers;
  }
  for (const pointer of pointers)
    expect(resolves(pointer, body), `${pointer} in ${shown}`).toBe(true);
  return pointers;
}

test("of 2,000 malformed bodies every wrong field is named, and no service is called but for valid events beside a malformed one", async () => {
  const app = await testApp({ clock });
  const bodies = malformedBodies(2_000, SEED);
  expect(bodies).toHaveLength(2_000);
  let partly = 0;
  for (const { url, how, bytes, pointers } of bodies) {
    const answer = await send(app, url, bytes);
    if (answer.statusCode === 207) partly++;
    const named = (answer.statusCode === 207 ? refusedAmongValid : refused)(answer, bytes);
    const missed = pointers.filter(
      (pointer) => !named.some((name) => name === pointer || name.startsWith(`${pointer}/`)),
    );
    expect(missed, `${how}: ${bytes.subarray(0, 300)} gave ${named}`).toEqual([]);
  }
  expect(app.ranked).toEqual([]);
  expect(partly).toBeGreaterThan(300);
  expect(app.appended.map((events) => events.length)).toEqual(Array(partly).fill(2));
  expect(app.lines).toEqual([]);
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
});

test("the bodies that the malformed ones are made from are taken", async () => {
  const app = await testApp({ clock });
  for (let i = 0; i < 100; i++) {
    const r = random(SEED, "valid", i);
    const rank = await send(app, "/v1/rank", Buffer.from(JSON.stringify(validRank(r))));
    expect(rank.statusCode, rank.body).toBe(200);
    const events = await send(app, "/v1/events", Buffer.from(JSON.stringify(validEvent(r))));
    expect(events.statusCode, events.body).toBe(200);
  }
  expect(app.ranked).toHaveLength(100);
  expect(app.appended).toHaveLength(100);
});

test("any JSON value in place of any field is taken or named, never a 5xx", async () => {
  const app = await testApp({ clock });
  const field = fc.constantFrom(
    "user_id",
    "product",
    "limit",
    "cursor",
    "seen_post_ids",
    "context",
    "weights",
    "explain",
  );
  await fc.assert(
    fc.asyncProperty(field, fc.jsonValue({ stringUnit: "binary" }), async (name, value) => {
      const body = { ...validRank(random(SEED)), [name]: value };
      const bytes = Buffer.from(JSON.stringify(body));
      const answer = await send(app, "/v1/rank", bytes);
      if (answer.statusCode === 200) return;
      for (const pointer of refused(answer, bytes)) expect(`${pointer}/`).toContain(`/${name}/`);
    }),
    { numRuns: 300, seed: SEED },
  );
});
