import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LiveConfig } from "../versions/live-config.ts";
import { scales } from "../versions/scales.fixture.ts";
import { VersionStore } from "../versions/version-store.ts";
import { answerTo, NOW_MS, testApp } from "./app.fixture.ts";

const operatorToken = "operator-token-0123456789";
const headers = { authorization: `Bearer ${operatorToken}` };
const path = "/v1/versions/scales/main";
let directory = "";
let versions: VersionStore;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "roost-routes-"));
  versions = new VersionStore(directory, [scales]);
});
afterEach(async () => {
  await versions.close();
  rmSync(directory, { recursive: true });
});

test("a version is put in force by its text, read back by its checksum, and moved back by it", async () => {
  const { server } = await testApp({ versions });
  expect((await server.inject(path)).statusCode).toBe(404);
  const put = (payload: object) => server.inject({ method: "PUT", url: path, payload });
  const first = (await put({ from: null, text: "a: 1", by: "ann" })).json();
  expect(first.revision).toBe(1);
  const second = (await put({ from: first.checksum, text: "a: 2", by: "bob" })).json();
  expect((await put({ from: second.checksum, to: first.checksum, by: "bob" })).json()).toEqual({
    checksum: first.checksum,
    revision: 3,
  });
  const state = (await server.inject(path)).json();
  expect(state.current).toEqual({ checksum: first.checksum, revision: 3 });
  expect(state.audit.map((line: { by: string; at_ms: number }) => [line.by, line.at_ms])).toEqual([
    ["api:ann", NOW_MS],
    ["api:bob", NOW_MS],
    ["api:bob", NOW_MS],
  ]);
  const version = await server.inject(`/v1/versions/${second.checksum}`);
  expect(version.json()).toMatchObject({ kind: "scales", text: "a: 2" });
  expect((await server.inject("/v1/versions/unknown")).statusCode).toBe(404);
});

test("a stale move is a 409, an invalid text a 400 at /text, an unknown kind a 404; nothing moves", async () => {
  const { server } = await testApp({ versions });
  const put = (payload: object, url = path) => server.inject({ method: "PUT", url, payload });
  const { checksum } = (await put({ from: null, text: "a: 1", by: "ann" })).json();
  expect((await put({ from: null, text: "a: 2", by: "ann" })).json()).toMatchObject({
    status: 409,
    code: "VERSION_CONFLICT",
  });
  const invalid = (await put({ from: checksum, text: "a: x\nb", by: "ann" })).json();
  expect(invalid).toMatchObject({ status: 400, errors: [{ pointer: "/text" }] });
  expect(invalid.errors[0].detail).toContain("text: b");
  expect(
    (await put({ from: null, text: "a: 1", by: "ann" }, "/v1/versions/nothing/main")).statusCode,
  ).toBe(404);
  for (const [body, pointer] of [
    [{ from: checksum, by: "ann" }, "/to"],
    [{ from: checksum, to: checksum, text: "a: 1", by: "ann" }, "/to"],
    [{ to: checksum, by: "ann" }, "/from"],
  ] as const) {
    expect((await put(body)).json()).toMatchObject({ status: 400, errors: [{ pointer }] });
  }
  expect(versions.current("scales", "main")).toEqual({ checksum, revision: 1 });
});

test("only an operator moves versions", async () => {
  const { server } = await testApp({ versions, settings: { operatorToken } });
  const payload = { from: null, text: "a: 1", by: "ann" };
  expect((await server.inject({ method: "PUT", url: path, payload })).json()).toMatchObject({
    status: 403,
  });
  expect((await server.inject({ method: "PUT", url: path, payload, headers })).statusCode).toBe(
    200,
  );
});

test("requests in flight keep the version they began with, and none is lost while versions move", async () => {
  const live = new LiveConfig(versions, scales, "main");
  await live.offer("a: 0", "text", "ann", 1);
  const { server } = await testApp({
    versions,
    rank: {
      rank: async (request, call) => {
        const { checksum, value } = live.current();
        for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
        const answer = answerTo(request, call);
        const item = {
          ...answer.response.items[0],
          score: value.a,
        } as (typeof answer.response.items)[number];
        return {
          ...answer,
          response: { ...answer.response, items: [item], weights_checksum: checksum },
        };
      },
    },
  });
  const rank = () =>
    server.inject({
      method: "POST",
      url: "/v1/rank",
      payload: { user_id: "1", product: "for_you", limit: 1 },
    });
  const answers: ReturnType<typeof rank>[] = [];
  for (let i = 1; i <= 40; i++) {
    for (let k = 0; k < 5; k++) answers.push(rank());
    await live.offer(`a: ${i}`, "text", "ann", i);
  }
  const seen = new Set<string>();
  for (const answer of await Promise.all(answers)) {
    expect(answer.statusCode).toBe(200);
    const { weights_checksum, items } = answer.json();
    expect(versions.resolve(weights_checksum)?.text).toBe(`a: ${items[0].score}`);
    seen.add(weights_checksum);
  }
  expect(answers).toHaveLength(200);
  expect(seen.size).toBeGreaterThan(5);
});
