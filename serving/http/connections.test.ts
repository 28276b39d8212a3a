import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { afterEach, expect, test } from "vitest";
import { answerTo, type TestApp, testApp } from "./app.fixture.ts";
import { CallerGone } from "./request-signal.ts";
import { ProblemSchema } from "./schemas.ts";
import type { RankAnswer, RankCall } from "./services.ts";
import { closeGracefully } from "./shutdown.ts";

const ask = JSON.stringify({ user_id: "1", product: "for_you", limit: 3 });
const request = { user_id: "1", product: "for_you", limit: 3 } as const;
/** On a busy machine a second is not long. */
const PATIENT = { timeout: 30_000 };
const open: TestApp[] = [];
afterEach(async () => {
  for (const app of open.splice(0)) await app.server.close();
});

/** An app on a free port whose rankings wait for the test to answer them. */
async function listening(settings: Parameters<typeof testApp>[0] = {}) {
  const waiting: { call: RankCall; answer(): void }[] = [];
  const arrivals: (() => void)[] = [];
  const app = await testApp({
    rank: {
      rank: (_request, call) =>
        new Promise<RankAnswer>((resolve, reject) => {
          waiting.push({ call, answer: () => resolve(answerTo(request, call)) });
          call.signal.addEventListener("abort", () => reject(call.signal.reason));
          arrivals.shift()?.();
        }),
    },
    ...settings,
  });
  open.push(app);
  await app.server.listen({ port: 0, host: "127.0.0.1" });
  const { port } = app.server.server.address() as AddressInfo;
  const arrived = () => new Promise<void>((resolve) => arrivals.push(resolve));
  return { app, port, waiting, arrived };
}

const rankOver = (port: number) =>
  fetch(`http://127.0.0.1:${port}/v1/rank`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: ask,
  });

/** Sends raw bytes and reads until the server ends the connection. */
async function raw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk;
  });
  socket.write(bytes);
  await once(socket, "close");
  return text;
}

const problemIn = (answer: string) =>
  ProblemSchema.parse(JSON.parse(answer.slice(answer.indexOf("\r\n\r\n"))));

test("a caller that goes away aborts its ranking", async () => {
  const { app, port, waiting, arrived } = await listening();
  const came = arrived();
  const call = httpRequest({
    port,
    method: "POST",
    path: "/v1/rank",
    headers: { "content-type": "application/json" },
  });
  call.on("error", () => {});
  call.end(ask);
  await came;
  const signal = waiting[0]?.call.signal as AbortSignal;
  expect(signal.aborted).toBe(false);
  const aborted = once(signal, "abort");
  call.destroy();
  await aborted;
  expect(signal.reason).toBeInstanceOf(CallerGone);
  await expect
    .poll(() => app.lines.find((line) => line.msg === "ranked"), PATIENT)
    .toMatchObject({ status: 499, code: "CALLER_GONE" });
  expect(app.lines.find((line) => line.msg === "request failed")).toBeUndefined();
});

test("an answered request leaves no listener or timer that could abort it later", async () => {
  const { port, waiting, arrived } = await listening();
  const came = arrived();
  const answer = rankOver(port);
  await came;
  waiting[0]?.answer();
  expect((await answer).status).toBe(200);
  expect(waiting[0]?.call.signal.aborted).toBe(false);
});

test("closing lets requests in flight finish, refuses new connections and says so", async () => {
  const { app, port, waiting, arrived } = await listening();
  const came = arrived();
  const answer = rankOver(port);
  await came;
  const closed = closeGracefully(app, 60_000);
  await expect.poll(() => app.server.server.listening, PATIENT).toBe(false);
  await expect(rankOver(port)).rejects.toThrow();
  waiting[0]?.answer();
  expect((await answer).status).toBe(200);
  expect(await closed).toBe(true);
});

test("a request that was still arriving when closing began gets a 503 problem", async () => {
  const { app, port, waiting, arrived } = await listening();
  const came = arrived();
  const answer = rankOver(port);
  await came;
  const late = connect(port, "127.0.0.1");
  let text = "";
  late.on("data", (chunk) => {
    text += chunk;
  });
  const accepted = once(app.server.server, "connection");
  late.write("GET /v1/weights HTTP/1.1\r\nhost");
  const [peer] = await accepted;
  await once(peer, "data");
  const closed = closeGracefully(app, 60_000);
  await expect.poll(() => app.server.server.listening, PATIENT).toBe(false);
  late.write(": x\r\n\r\n");
  await once(late, "close");
  expect(text).toMatch(/^HTTP\/1\.1 503[\s\S]*connection: close/i);
  expect(problemIn(text)).toMatchObject({ code: "NOT_READY" });
  waiting[0]?.answer();
  expect((await answer).status).toBe(200);
  expect(await closed).toBe(true);
});

test("requests that outlast the shutdown time are aborted with a problem, and closing ends", async () => {
  const { app, port, arrived } = await listening();
  const came = arrived();
  const answer = rankOver(port);
  await came;
  expect(await closeGracefully(app, 20, 30_000)).toBe(false);
  const response = await answer;
  expect(response.status).toBe(503);
  expect(ProblemSchema.parse(await response.json()).code).toBe("NOT_READY");
});

test("closing ends even if a ranking ignores its signal", async () => {
  const { app, port, arrived } = await (async () => {
    let came = () => {};
    const running = await listening({
      rank: {
        rank: () => {
          came();
          return new Promise(() => {});
        },
      },
      settings: { deadlineGraceMs: 60_000 },
    });
    return {
      ...running,
      arrived: () =>
        new Promise<void>((resolve) => {
          came = resolve;
        }),
    };
  })();
  const came = arrived();
  const answer = rankOver(port).then(
    () => "answered",
    () => "cut",
  );
  await came;
  expect(await closeGracefully(app, 10, 10)).toBe(false);
  expect(await answer).toBe("cut");
});

test("what is not HTTP gets a 400 problem that repeats none of it", async () => {
  const { port } = await listening();
  for (const bytes of [
    "GET / HTTP/9.9\r\n\r\n",
    "secret-4711 nonsense\r\n\r\n",
    "GET / HTTP/1.1\r\nbad header\r\n\r\n",
  ]) {
    const answer = await raw(port, bytes);
    expect(answer).toMatch(/^HTTP\/1\.1 400 [\s\S]*application\/problem\+json/);
    expect(answer).not.toContain("4711");
    expect(problemIn(answer)).toMatchObject({ status: 400, code: "BAD_REQUEST" });
  }
});

test("headers past the limit get a 431 problem", async () => {
  const { port } = await listening();
  const answer = await raw(
    port,
    `GET /livez HTTP/1.1\r\nhost: x\r\nx-long: ${"a".repeat(20_000)}\r\n\r\n`,
  );
  expect(problemIn(answer)).toMatchObject({ status: 431, code: "HEADERS_TOO_LARGE" });
});

test("a body shorter than its content-length never reaches a service", async () => {
  const { app, port, waiting } = await listening();
  const socket = connect(port, "127.0.0.1");
  socket.write(
    `POST /v1/rank HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n${ask}`,
  );
  await once(socket, "connect");
  socket.end();
  socket.resume();
  await once(socket, "close");
  expect(waiting).toEqual([]);
  expect(app.lines.filter((line) => line.msg === "ranked")).toEqual([]);
});
