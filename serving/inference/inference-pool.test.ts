import { getEventListeners } from "node:events";
import { Worker } from "node:worker_threads";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { random } from "../../datasets/random.ts";
import { InferencePool, type InferencePoolOptions } from "./inference-pool.ts";
import { type StartSession, startSession } from "./start-session.ts";
import { type TinyModel, tinyBundle, tinyOutputs } from "./tiny-model.fixture.ts";

const TINY: TinyModel = { weights: [1, -2, 0.5, 0.25], bias: [0.1, -0.1] };
const WITH_IDS: TinyModel = { ...TINY, table: [0, 0, 10, 20, 30, 40], idInputs: 2 };
/** A run of 4,000 rows takes long enough to be caught in the middle. */
const SLOW: TinyModel = { ...TINY, idle: 400 };
const NO_IDS = new Int32Array(0);
const NEVER = new AbortController().signal;

const open: InferencePool[] = [];
const lasting: InferencePool[] = [];
let tiny: InferencePool;
let withIds: InferencePool;
beforeAll(async () => {
  tiny = await InferencePool.start(tinyBundle(TINY), { workers: 2 });
  withIds = await InferencePool.start(tinyBundle(WITH_IDS), { workers: 1 });
  lasting.push(tiny, withIds);
});
afterAll(async () => {
  await Promise.all(lasting.map((pool) => pool.close()));
});
const started = async (
  model: TinyModel,
  options: Partial<InferencePoolOptions> = {},
): Promise<InferencePool> => {
  const pool = await InferencePool.start(tinyBundle(model), { workers: 1, ...options });
  open.push(pool);
  return pool;
};
const threadOf = (target: string): StartSession => {
  const entry = new URL("../../worker.mjs", import.meta.url);
  return (settings) => new Worker(entry, { workerData: { target, ...settings } });
};
/** Threads that end at their first run, or while they start. */
const startExiting = threadOf(new URL("./exiting-session.fixture.ts", import.meta.url).href);
const startEnding = threadOf("data:text/javascript,process.exit(1)");

/** A pool and the worker threads that it starts. */
const watched = async (model: TinyModel) => {
  const workers: Worker[] = [];
  const pool = await started(model, {
    startSession: (settings) => {
      const worker = startSession(settings);
      workers.push(worker);
      return worker;
    },
  });
  return { pool, workers };
};
afterEach(async () => {
  await Promise.all(open.splice(0).map((pool) => pool.close()));
});

const features = (n: number): Float32Array => {
  const draw = random(3, "features");
  return Float32Array.from({ length: n * 2 }, () => draw.normal());
};
const expectOutputs = (outputs: Float32Array, expected: readonly number[]): void => {
  expect(outputs).toHaveLength(expected.length);
  for (const [i, value] of expected.entries()) expect(outputs[i]).toBeCloseTo(value, 4);
};

test("a model answers one row of outputs for each row of features, as computed by hand", async () => {
  const pool = tiny;
  const x = features(70);
  expectOutputs(await pool.run(x, NO_IDS, 70, NEVER), tinyOutputs(TINY, x, NO_IDS, 70));
});

test("id buckets reach the model", async () => {
  const pool = withIds;
  const x = features(3);
  const ids = Int32Array.of(0, 0, 1, 2, 2, 2);
  expectOutputs(await pool.run(x, ids, 3, NEVER), tinyOutputs(WITH_IDS, x, ids, 3));
});

test("a missing feature reaches the model as NaN", async () => {
  const pool = tiny;
  const outputs = await pool.run(Float32Array.of(Number.NaN, 1, 1, 1), NO_IDS, 2, NEVER);
  expect(outputs[0]).toBeNaN();
  expect(outputs[2]).toBeCloseTo(1.6, 6);
});

test("the caller's arrays stay usable", async () => {
  const pool = tiny;
  const x = features(4);
  const before = x.slice();
  const first = await pool.run(x, NO_IDS, 4, NEVER);
  expect(x).toEqual(before);
  expect(await pool.run(x, NO_IDS, 4, NEVER)).toEqual(first);
});

test("more runs than workers all get their own answer", async () => {
  const pool = tiny;
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, i) =>
      pool.run(Float32Array.of(i, 0), NO_IDS, 1, new AbortController().signal),
    ),
  );
  for (const [i, answer] of answers.entries()) expect(answer[0]).toBeCloseTo(i + 0.1, 4);
});

test("a run that is split over idle workers equals one that is not, for any number of rows", async () => {
  const whole = withIds;
  const split = await started(WITH_IDS, { workers: 3, splitRows: 10 });
  for (const n of [1, 19, 20, 31, 100]) {
    const x = features(n);
    const ids = Int32Array.from({ length: n * 2 }, (_, i) => i % 3);
    expect(await split.run(x, ids, n, NEVER)).toEqual(await whole.run(x, ids, n, NEVER));
  }
});

test("no rows need no model", async () => {
  const pool = tiny;
  expect(await pool.run(new Float32Array(0), NO_IDS, 0, NEVER)).toHaveLength(0);
});

test("matrices that do not fit the model are refused by their sizes", async () => {
  const pool = withIds;
  await expect(pool.run(new Float32Array(3), new Int32Array(2), 1, NEVER)).rejects.toThrow(
    "3 features, not 1×2",
  );
  await expect(pool.run(new Float32Array(2), NO_IDS, 1, NEVER)).rejects.toMatchObject({
    code: "COLUMN_LENGTH",
  });
});

test("an input that the model itself refuses fails that run only", async () => {
  const pool = withIds;
  const beyond = pool.run(features(1), Int32Array.of(0, 99), 1, NEVER);
  await expect(beyond).rejects.toMatchObject({ code: "INFERENCE_FAILED" });
  expect(await pool.run(features(1), Int32Array.of(0, 0), 1, NEVER)).toHaveLength(2);
});

test("a worker that dies fails the run that it was in, is replaced, and the next run is answered", async () => {
  let starts = 0;
  const pool = await started(SLOW, {
    startSession: (settings) => (starts++ === 0 ? startExiting : startSession)(settings),
  });
  const x = features(4000);
  const running = pool.run(x, NO_IDS, 4000, NEVER);
  const waiting = pool.run(x, NO_IDS, 4000, NEVER);
  await expect(running).rejects.toMatchObject({
    code: "INFERENCE_FAILED",
    message: expect.stringContaining("the worker died"),
  });
  expect(await waiting).toHaveLength(8000);
  expect(starts).toBe(2);
});

test("a worker that dies between runs is not noticed by them", async () => {
  const { pool, workers } = await watched(TINY);
  await workers[0]?.terminate();
  expect(await pool.run(features(1), NO_IDS, 1, NEVER)).toHaveLength(2);
  expect(workers).toHaveLength(2);
});

test("a worker that can never be started again is given up by name, and waiting runs are refused", async () => {
  let starts = 0;
  const pool = await started(TINY, {
    startSession: (settings) => (starts++ === 0 ? startExiting : startEnding)(settings),
  });
  await expect(pool.run(features(1), NO_IDS, 1, NEVER)).rejects.toMatchObject({
    code: "INFERENCE_FAILED",
  });
  const refused = pool.run(features(1), NO_IDS, 1, NEVER);
  await expect(refused).rejects.toThrow("no worker could be started again");
  expect(starts).toBe(5);
});

test("an aborted run is let go at once; one that was waiting is never run, and the pool goes on", async () => {
  const { pool, workers } = await watched(SLOW);
  const posted = vi.spyOn(workers[0] as Worker, "postMessage");
  const x = features(4000);
  const controller = new AbortController();
  const running = pool.run(x, NO_IDS, 4000, controller.signal);
  const waiting = pool.run(x, NO_IDS, 4000, controller.signal);
  const reason = new Error("client left");
  controller.abort(reason);
  await expect(running).rejects.toBe(reason);
  await expect(waiting).rejects.toBe(reason);
  await expect(pool.run(x, NO_IDS, 4000, controller.signal)).rejects.toBe(reason);
  expect(await pool.run(x, NO_IDS, 4000, NEVER)).toHaveLength(8000);
  expect(posted).toHaveBeenCalledTimes(2);
});

test("nothing listens to the signal after a run", async () => {
  const pool = tiny;
  const { signal } = new AbortController();
  await pool.run(features(1), NO_IDS, 1, signal);
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

test("closing refuses what waits and what runs, ends the threads, and may be repeated", async () => {
  const { pool, workers } = await watched(SLOW);
  const x = features(4000);
  const runs = [pool.run(x, NO_IDS, 4000, NEVER), pool.run(x, NO_IDS, 4000, NEVER)];
  const refusals = runs.map((run) => expect(run).rejects.toMatchObject({ code: "NOT_READY" }));
  await Promise.all([pool.close(), pool.close()]);
  await Promise.all(refusals);
  expect(workers.map((worker) => worker.threadId)).toEqual([-1]);
  await expect(pool.run(x, NO_IDS, 4000, NEVER)).rejects.toMatchObject({ code: "NOT_READY" });
});

test("bytes that are no model are refused", async () => {
  const bundle = tinyBundle(TINY, Uint8Array.of(1, 2, 3));
  await expect(InferencePool.start(bundle, { workers: 2 })).rejects.toMatchObject({
    code: "BAD_BUNDLE",
  });
});

test("a model without the inputs that its bundle states is refused by their names", async () => {
  const plain = tinyBundle(TINY);
  const ids = [{ name: "author", buckets: 8 }];
  await expect(
    InferencePool.start({ ...plain, manifest: { ...plain.manifest, ids } }, { workers: 1 }),
  ).rejects.toThrow("the model has no input ids");
  const bundle = tinyBundle(WITH_IDS);
  await expect(
    InferencePool.start({ ...bundle, manifest: { ...bundle.manifest, ids: [] } }, { workers: 1 }),
  ).rejects.toThrow("the model asks for an input ids");
});

test("while a model runs, the event loop turns", async () => {
  const pool = await started(SLOW);
  let turns = 0;
  const turning = setInterval(() => turns++, 1);
  const x = features(4000);
  for (let i = 0; i < 5; i++) await pool.run(x, NO_IDS, 4000, NEVER);
  clearInterval(turning);
  expect(turns).toBeGreaterThan(5);
});
