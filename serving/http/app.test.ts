import type { InjectOptions } from "fastify";
import { expect, test } from "vitest";
import { RoostError } from "../../errors.ts";
import { NOW_MS, record, testApp } from "./app.fixture.ts";
import { InvalidRequest } from "./invalid-request.ts";
import { EventsResponseSchema, ProblemSchema, RankResponseSchema } from "./schemas.ts";

const ask = { user_id: "1", product: "for_you", limit: 10 };
const impression = { type: "impression", request_id: "r", user_id: "1", post_id: "2", position: 0 };
const post = (url: string, payload: unknown, headers = {}): InjectOptions => ({
  method: "POST",
  url,
  headers: { "content-type": "application/json", ...headers },
  payload: typeof payload === "string" ? payload : JSON.stringify(payload),
});
const pointersOf = (body: string): string[] =>
  (ProblemSchema.parse(JSON.parse(body)).errors ?? []).map(({ pointer }) => pointer);

test("a valid request is ranked, and its answer, log line and metrics come from one record", async () => {
  const app = await testApp();
  const answer = await app.server.inject(post("/v1/rank", { ...ask, explain: true }));
  expect(answer.statusCode).toBe(200);
  const body = RankResponseSchema.parse(answer.json());
  expect(answer.headers["x-request-id"]).toBe(body.request_id);
  expect(app.ranked).toHaveLength(1);
  expect(app.ranked[0]?.request).toEqual({ ...ask, explain: true });

  const lines = app.lines.filter((line) => line.msg === "ranked");
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({
    request_id: body.request_id,
    status: 200,
    items: 1,
    components: { in_network: [1.5, 0, 40], max_age: [0.1, 40, 31] },
    degraded: ["trending:late"],
  });
  expect(Object.keys(lines[0]?.components as object)).not.toContain("self");
  expect(JSON.stringify(lines[0])).not.toContain("user_id");

  const metrics = (await app.server.inject("/metrics")).body;
  expect(metrics).toContain(
    'roost_component_rows_total{stage="filters",component="max_age",direction="out"} 31',
  );
  expect(metrics).toContain('roost_component_failures_total{component="trending",kind="late"} 1');
  expect(metrics).toContain('roost_rank_pipeline_seconds_sum{product="for_you"} 0.0075');
  expect(metrics).toContain(
    'roost_http_request_seconds_count{route="/v1/rank",method="POST",status="200"} 1',
  );
});

test("every wrong field is named at once, unknown ones and escaped names too", async () => {
  const app = await testApp();
  const sent = {
    user_id: "007",
    product: "for_them",
    limit: 201,
    seen_post_ids: ["1", "18446744073709551616", 3],
    candidate_post_ids: [],
    context: { hour: 3, country: 1 },
    weights: { favorite: -1, block_author: 2, "a/b~c": 1 },
    explain: "yes",
    deadline_ms: 1.5,
    "~/": 1,
  };
  const answer = await app.server.inject(post("/v1/rank", sent));
  expect(answer.statusCode).toBe(400);
  expect(answer.headers["content-type"]).toMatch(/^application\/problem\+json/);
  expect(new Set(pointersOf(answer.body))).toEqual(
    new Set([
      "/user_id",
      "/product",
      "/limit",
      "/seen_post_ids/1",
      "/seen_post_ids/2",
      "/candidate_post_ids",
      "/context/hour",
      "/context/country",
      "/weights/favorite",
      "/weights/block_author",
      "/weights/a~1b~0c",
      "/explain",
      "/deadline_ms",
      "/~0~1",
    ]),
  );
  expect(app.ranked).toHaveLength(0);
});

test("a missing field is named where it should stand, and form errors come with schema errors", async () => {
  const app = await testApp();
  const missing = await app.server.inject(post("/v1/rank", {}));
  expect(pointersOf(missing.body)).toEqual(["/user_id", "/product", "/limit"]);
  const text = '{"user_id":"1","user_id":"2","product":"x","__proto__":{"limit":1}}';
  const both = await app.server.inject(post("/v1/rank", text));
  expect(pointersOf(both.body)).toEqual(["/user_id", "/__proto__", "/product", "/limit"]);
});

test.each([
  ["malformed JSON", post("/v1/rank", '{"user_id":'), 400, "BAD_REQUEST"],
  ["no body", { method: "POST", url: "/v1/rank" }, 400, "BAD_REQUEST"],
  ["an empty JSON body", post("/v1/rank", ""), 400, "BAD_REQUEST"],
  [
    "a wrong content type",
    post("/v1/rank", "{}", { "content-type": "text/plain" }),
    415,
    "UNSUPPORTED_MEDIA_TYPE",
  ],
  [
    "a broken content type",
    post("/v1/rank", "{}", { "content-type": ";;" }),
    415,
    "UNSUPPORTED_MEDIA_TYPE",
  ],
  [
    "another charset",
    post("/v1/rank", "{}", { "content-type": "application/json; charset=latin1" }),
    415,
    "UNSUPPORTED_MEDIA_TYPE",
  ],
  [
    "a compressed body",
    post("/v1/rank", "{}", { "content-encoding": "gzip" }),
    415,
    "UNSUPPORTED_MEDIA_TYPE",
  ],
  [
    "too large a body",
    post("/v1/rank", `{"cursor":"${"x".repeat(5_000)}"}`),
    413,
    "BODY_TOO_LARGE",
  ],
  ["an unknown path", post("/v1/rang", "{}", { "content-type": "text/plain" }), 404, "NOT_FOUND"],
  ["a path that is no URL", { method: "GET", url: "/%zz" }, 400, "BAD_REQUEST"],
  ["a wrong method", { method: "GET", url: "/v1/rank" }, 405, "METHOD_NOT_ALLOWED"],
  ["an unusual method", { method: "PROPFIND", url: "/v1/rank" }, 405, "METHOD_NOT_ALLOWED"],
  [
    "a body on a wrong method",
    post("/livez", "{", { "content-type": "x/y" }),
    405,
    "METHOD_NOT_ALLOWED",
  ],
] as [string, InjectOptions, number, string][])(
  "%s is answered as a problem",
  async (_name, request, status, code) => {
    const app = await testApp({ settings: { bodyLimitBytes: 4_096 } });
    const answer = await app.server.inject(request);
    expect(answer.statusCode).toBe(status);
    expect(answer.headers["content-type"]).toMatch(/^application\/problem\+json/);
    const problem = ProblemSchema.parse(answer.json());
    expect(problem).toMatchObject({ status, code, type: `/docs#${code}` });
    if (status === 405)
      expect(answer.headers.allow).toMatch(request.url === "/livez" ? /GET/ : /^POST$/);
    expect(app.ranked).toHaveLength(0);
  },
);

test("what the rank service refuses keeps its code, and names the fields when it says them", async () => {
  const tampered = new InvalidRequest([{ pointer: "/cursor", detail: "was not made here" }]);
  const app = await testApp({ rank: { rank: () => Promise.reject(tampered) } });
  const answer = await app.server.inject(post("/v1/rank", { ...ask, cursor: "x" }));
  expect(answer.statusCode).toBe(400);
  expect(pointersOf(answer.body)).toEqual(["/cursor"]);

  const down = new RoostError("COMPONENT_FAILED", "heavy");
  const broken = await testApp({ rank: { rank: () => Promise.reject(down) } });
  const problem = (await broken.server.inject(post("/v1/rank", ask))).json();
  expect(problem).toMatchObject({ status: 502, code: "COMPONENT_FAILED" });
  expect(problem.detail).toContain("heavy");
});

test("a 500 tells the request id and nothing of the cause; the log has the cause", async () => {
  const causes = [
    new TypeError("x is undefined at /srv/secret.ts"),
    new RoostError("BAD_CONFIG", "/srv/secret.yaml"),
    "a string",
  ];
  for (const cause of causes) {
    const app = await testApp({ rank: { rank: () => Promise.reject(cause) } });
    const answer = await app.server.inject(post("/v1/rank", ask));
    expect(answer.statusCode).toBe(500);
    expect(answer.body).not.toMatch(/secret|stack|a string|\.ts/);
    const { request_id } = ProblemSchema.parse(answer.json());
    const failed = app.lines.find((line) => line.msg === "request failed");
    expect(failed).toMatchObject({ request_id });
    expect(app.lines.find((line) => line.msg === "ranked")).toMatchObject({ status: 500 });
  }
});

test("deadline_ms aborts the ranking's signal, and a page made in the grace time is answered", async () => {
  const app = await testApp({
    rank: {
      rank: (_request, { signal, requestId }) =>
        new Promise((resolve) => {
          signal.addEventListener("abort", () => {
            expect(signal.reason).toMatchObject({ code: "DEADLINE_EXCEEDED" });
            void import("./app.fixture.ts").then(({ answerTo }) =>
              resolve(answerTo({ ...ask, product: "for_you" }, { requestId, signal })),
            );
          });
        }),
    },
    settings: { deadlineGraceMs: 30_000 },
  });
  const answer = await app.server.inject(post("/v1/rank", { ...ask, deadline_ms: 5 }));
  expect(answer.statusCode).toBe(200);
});

test("a ranking that ignores its deadline is given up after the grace time", async () => {
  const app = await testApp({
    rank: { rank: () => new Promise(() => {}) },
    settings: { deadlineGraceMs: 1, defaultDeadlineMs: 5 },
  });
  const answer = await app.server.inject(post("/v1/rank", ask));
  expect(answer.json()).toMatchObject({ status: 504, code: "DEADLINE_EXCEEDED" });
});

test("one event, an array and an envelope are taken alike; the server's clock fills time_ms", async () => {
  const app = await testApp();
  for (const body of [impression, [impression], { events: [impression] }]) {
    const answer = await app.server.inject(post("/v1/events", body));
    expect(answer.statusCode).toBe(200);
    expect(EventsResponseSchema.parse(answer.json())).toMatchObject({ accepted: 1, refused: 0 });
  }
  expect(app.appended).toEqual(Array(3).fill([{ ...impression, time_ms: NOW_MS }]));
});

test("under a wall clock a sent time is kept unless it is ahead of the server; under a world clock it is replaced", async () => {
  const wall = await testApp();
  const early = { ...impression, time_ms: NOW_MS - 5_000 };
  await wall.server.inject(post("/v1/events", early));
  expect(wall.appended).toEqual([[early]]);
  const ahead = await wall.server.inject(
    post("/v1/events", [early, { ...impression, time_ms: NOW_MS + 60_001 }]),
  );
  expect(ahead.json()).toMatchObject({
    accepted: 1,
    refused: 1,
    results: [{ status: "accepted" }, { errors: [{ pointer: "/1/time_ms" }] }],
  });

  const world = await testApp({ clock: { kind: "world", nowMs: () => 1_000 } });
  const answer = await world.server.inject(post("/v1/events", early));
  expect(answer.statusCode).toBe(200);
  expect(world.appended).toEqual([[{ ...impression, time_ms: 1_000 }]]);
});

test("a malformed event is refused at its place with every wrong field, the others are taken", async () => {
  const app = await testApp();
  const batch = [
    impression,
    { type: "engagement", user_id: "x", post_id: "2", head: "adore" },
    { type: "served" },
    7,
    { ...impression, extra: 1 },
    impression,
  ];
  for (const [sent, at] of [
    [batch, ""],
    [{ events: batch }, "/events"],
  ] as const) {
    const answer = await app.server.inject(post("/v1/events", sent));
    expect(answer.statusCode).toBe(207);
    const { results, ...counts } = EventsResponseSchema.parse(answer.json());
    expect(counts).toEqual({ accepted: 2, duplicates: 0, refused: 4 });
    expect(results.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(results.map(({ errors = [] }) => errors.map(({ pointer }) => pointer))).toEqual([
      [],
      [`${at}/1/user_id`, `${at}/1/head`],
      [`${at}/2/type`],
      [`${at}/3`],
      [`${at}/4/extra`],
      [],
    ]);
  }
  const kept = { ...impression, time_ms: NOW_MS };
  expect(app.appended).toEqual([
    [kept, kept],
    [kept, kept],
  ]);
});

test("a batch without a valid event, or with a wrong envelope, is refused as a whole", async () => {
  const app = await testApp();
  const none = await app.server.inject(post("/v1/events", [{ type: "served" }, 7]));
  expect(none.statusCode).toBe(400);
  expect(pointersOf(none.body)).toEqual(["/0/type", "/1"]);
  const wrapped = { events: [impression, 7], other: 1 };
  const strange = await app.server.inject(post("/v1/events", wrapped));
  expect(strange.statusCode).toBe(400);
  expect(pointersOf(strange.body)).toEqual(["/other", "/events/1"]);
  expect(app.appended).toEqual([]);
});

test("lines of JSON are taken one by one, and a line that is none is refused at its place", async () => {
  const app = await testApp();
  const line = JSON.stringify(impression);
  const lines = (payload: string, url = "/v1/events") =>
    app.server.inject({
      method: "POST",
      url,
      headers: { "content-type": "application/x-ndjson" },
      payload,
    });
  const all = await lines(`${line}\n\n${line}\r\n`);
  expect(all.json()).toMatchObject({ accepted: 2, refused: 0 });
  const some = await lines(`${line}\n{"type":\n${line.replace("{", '{"type":"mute",')}\n${line}`);
  expect(some.statusCode).toBe(207);
  expect(some.json()).toMatchObject({
    accepted: 2,
    refused: 2,
    results: [
      { status: "accepted" },
      { errors: [{ pointer: "/1", detail: "is not JSON: it ends too early" }] },
      { errors: [{ pointer: "/2/type", detail: "is given twice" }] },
      { status: "accepted" },
    ],
  });
  expect((await lines("")).statusCode).toBe(400);
  expect((await lines(line, "/v1/rank")).json()).toMatchObject({ code: "UNSUPPORTED_MEDIA_TYPE" });
});

test("a batch holds 1 to 1,000 events", async () => {
  const app = await testApp();
  for (const events of [[], Array(1_001).fill(impression)]) {
    expect(pointersOf((await app.server.inject(post("/v1/events", events))).body)).toEqual([""]);
    expect(pointersOf((await app.server.inject(post("/v1/events", { events }))).body)).toEqual([
      "/events",
    ]);
  }
  const most = await app.server.inject(post("/v1/events", Array(1_000).fill(impression)));
  expect(most.json()).toMatchObject({ accepted: 1_000 });
});

test("what the log refuses is told per event: 207 when some were taken, 400 when none", async () => {
  const refuse = { status: "refused", detail: "the user is deleted" } as const;
  const some = await testApp({
    events: {
      append: async (events) => ({
        results: events.map((_, i) =>
          i === 1 ? refuse : { status: i === 0 ? "accepted" : "duplicate" },
        ),
      }),
    },
  });
  const mixed = await some.server.inject(post("/v1/events", [impression, impression, impression]));
  expect(mixed.statusCode).toBe(207);
  expect(mixed.json()).toEqual({
    accepted: 1,
    duplicates: 1,
    refused: 1,
    results: [
      { index: 0, status: "accepted" },
      { index: 1, ...refuse },
      { index: 2, status: "duplicate" },
    ],
  });
  const none = await testApp({
    events: { append: async (events) => ({ results: events.map(() => refuse) }) },
  });
  const refused = await none.server.inject(
    post("/v1/events", { events: [impression, impression] }),
  );
  expect(refused.json()).toMatchObject({ status: 400, code: "BAD_EVENT" });
  expect(pointersOf(refused.body)).toEqual(["/events/0", "/events/1"]);
});

test("tokens guard /v1 and leave probes open; overrides need the operator's", async () => {
  const apiToken = "api-token-0123456789";
  const operatorToken = "operator-token-0123456789";
  const app = await testApp({ settings: { apiToken, operatorToken } });
  const as = (token: string) => ({ authorization: `Bearer ${token}` });
  expect((await app.server.inject(post("/v1/rank", ask))).statusCode).toBe(401);
  expect((await app.server.inject("/v1/weights")).statusCode).toBe(401);
  expect((await app.server.inject("/readyz")).statusCode).toBe(200);
  expect((await app.server.inject(post("/v1/rank", ask, as(apiToken)))).statusCode).toBe(200);
  const override = { ...ask, weights: { favorite: 2 } };
  const refused = await app.server.inject(post("/v1/rank", override, as(apiToken)));
  expect(refused.json()).toMatchObject({ status: 403, code: "FORBIDDEN" });
  expect((await app.server.inject(post("/v1/rank", override, as(operatorToken)))).statusCode).toBe(
    200,
  );
});

test("forcing an arm needs the operator's token where there is one, and names the field", async () => {
  const operatorToken = "operator-token-0123456789";
  const app = await testApp({ settings: { operatorToken } });
  const forced = { ...ask, context: { surface: "home", forced_variations: { e: "control" } } };
  const refused = await app.server.inject(post("/v1/rank", forced));
  expect(refused.json()).toMatchObject({ status: 403, code: "FORBIDDEN" });
  expect(refused.json().detail).toContain("context.forced_variations");
  expect(app.ranked).toEqual([]);
  const headers = { authorization: `Bearer ${operatorToken}` };
  expect((await app.server.inject(post("/v1/rank", forced, headers))).statusCode).toBe(200);
  const plain = { ...ask, context: { surface: "home" } };
  expect((await app.server.inject(post("/v1/rank", plain))).statusCode).toBe(200);
  const open = await testApp();
  expect((await open.server.inject(post("/v1/rank", forced))).statusCode).toBe(200);
  expect(open.ranked[0]?.request.context?.forced_variations).toEqual({ e: "control" });
});

test("a ranking that is given up at the deadline is logged and counted with what it came to", async () => {
  const app = await testApp({
    settings: { deadlineGraceMs: 1 },
    rank: {
      rank: (_request, { begun }) => {
        begun?.({ ...record, items: 0 });
        return new Promise(() => {});
      },
    },
  });
  const answer = await app.server.inject(post("/v1/rank", { ...ask, deadline_ms: 5 }));
  expect(answer.json()).toMatchObject({ status: 504, code: "DEADLINE_EXCEEDED" });
  expect(app.lines.find(({ msg }) => msg === "ranked")).toMatchObject({
    status: 504,
    code: "DEADLINE_EXCEEDED",
    items: 0,
    components: { in_network: [1.5, 0, 40], max_age: [0.1, 40, 31] },
    degraded: ["trending:late"],
  });
  const { body } = await app.server.inject("/metrics");
  expect(body).toContain('roost_component_failures_total{component="trending",kind="late"} 1');
  expect(body).not.toContain("roost_rank_items_count{");
});

test("probes answer by the state of the server", async () => {
  const app = await testApp({
    health: { live: () => false, ready: () => ({ ready: false, reasons: ["no heavy model"] }) },
  });
  expect((await app.server.inject("/livez")).statusCode).toBe(503);
  const ready = await app.server.inject("/readyz");
  expect([ready.statusCode, ready.json()]).toEqual([
    503,
    { ready: false, reasons: ["no heavy model"] },
  ]);
  const weights = await app.server.inject("/v1/weights");
  expect(weights.json()).toMatchObject({ name: "world", checksum: "w1" });
});
