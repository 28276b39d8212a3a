import { afterEach, expect, test } from "vitest";
import { InferencePool } from "./inference-pool.ts";
import { InlineSession } from "./inline-session.ts";
import { MODEL_WITH_IDS, rowsWithIds, tinyBundle, tinyOutputs } from "./tiny-model.fixture.ts";

const NEVER = new AbortController().signal;
const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((session) => session.close()));
});
const started = async (model = MODEL_WITH_IDS): Promise<InlineSession> => {
  const session = await InlineSession.start(tinyBundle(model));
  open.push(session);
  return session;
};

test("more rows than fit one call are scored as a worker scores them, in order", async () => {
  const n = 2500;
  const { features, ids } = rowsWithIds(n);
  const session = await started();
  const pool = await InferencePool.start(tinyBundle(MODEL_WITH_IDS), { workers: 1 });
  open.push(pool);
  const inline = await session.run(features, ids, n, NEVER);
  expect(inline).toEqual(await pool.run(features, ids, n, NEVER));
  expect([...inline.subarray(2 * (n - 1))]).toEqual(
    tinyOutputs(MODEL_WITH_IDS, features.subarray(2 * (n - 1)), ids.subarray(2 * (n - 1)), 1).map(
      (value) => expect.closeTo(value, 5),
    ),
  );
  expect(await session.run(new Float32Array(0), new Int32Array(0), 0, NEVER)).toHaveLength(0);
});

test("matrices that are not the model's are refused", async () => {
  const session = await started();
  const { features, ids } = rowsWithIds(3);
  await expect(session.run(features, ids, 2, NEVER)).rejects.toMatchObject({
    code: "COLUMN_LENGTH",
    message: expect.stringContaining("6 features, not 2×2"),
  });
  await expect(session.run(features, ids.subarray(1), 3, NEVER)).rejects.toMatchObject({
    code: "COLUMN_LENGTH",
  });
});

test("bytes that are no model, or one of other inputs, are refused as the bundle's fault", async () => {
  const bundle = tinyBundle(MODEL_WITH_IDS);
  await expect(
    InlineSession.start({ ...bundle, model: new Uint8Array([1, 2, 3]) }),
  ).rejects.toMatchObject({ code: "BAD_BUNDLE" });
  await expect(
    InlineSession.start({ ...bundle, manifest: { ...bundle.manifest, ids: [] } }),
  ).rejects.toMatchObject({
    code: "BAD_BUNDLE",
    message: expect.stringContaining("the model asks for an input ids"),
  });
});

test("a caller that gave up and a closed model are refused, also between calls", async () => {
  const session = await started();
  const { features, ids } = rowsWithIds(2500);
  await expect(
    session.run(features, ids, 2500, AbortSignal.abort(new Error("gone"))),
  ).rejects.toThrow("gone");
  const controller = new AbortController();
  const run = session.run(features, ids, 2500, controller.signal);
  controller.abort(new Error("left"));
  await expect(run).rejects.toThrow("left");
  const last = session.run(features, ids, 2500, NEVER);
  await session.close();
  await expect(last).rejects.toMatchObject({ code: "NOT_READY" });
  await expect(session.run(features, ids, 2500, NEVER)).rejects.toMatchObject({
    code: "NOT_READY",
  });
});
