import { afterEach, expect, test } from "vitest";
import type { Inference } from "./inference.ts";
import { InferencePool } from "./inference-pool.ts";
import { SharedInference } from "./shared-inference.ts";
import { MODEL_WITH_IDS, rowsWithIds, tinyBundle } from "./tiny-model.fixture.ts";

const NEVER = new AbortController().signal;
const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((inference) => inference.close()));
});

/** A pool of one worker that notes how many rows each run has; `fail` makes the next runs fail. */
class NotedPool implements Inference {
  readonly runs: number[] = [];
  fail = false;
  /** Answers only to an abort. */
  never = false;
  readonly signals: AbortSignal[] = [];
  readonly #pool: Inference;

  constructor(pool: Inference) {
    this.#pool = pool;
  }

  async run(features: Float32Array, ids: Int32Array, n: number, signal: AbortSignal) {
    this.runs.push(n);
    this.signals.push(signal);
    if (this.fail) throw new Error("the worker died");
    if (this.never)
      return new Promise<Float32Array>((_, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason)),
      );
    return this.#pool.run(features, ids, n, signal);
  }

  close(): Promise<void> {
    return this.#pool.close();
  }
}

/** The model on a worker, shared by the calling thread. */
const started = async (alone: () => boolean, msPerRow = 0.001) => {
  const bundle = tinyBundle(MODEL_WITH_IDS);
  const pool = new NotedPool(await InferencePool.start(bundle, { workers: 1 }));
  const shared = await SharedInference.start(bundle, { worker: pool, msPerRow, alone });
  open.push(shared);
  return { pool, shared };
};
/** What the worker alone answers. */
const whole = async (pool: NotedPool, n: number) => {
  const { features, ids } = rowsWithIds(n);
  const outputs = await pool.run(features, ids, n, NEVER);
  pool.runs.length = 0;
  return outputs;
};

test("the calling thread takes the last rows of a lone request, and the scores are those of one run", async () => {
  const { pool, shared } = await started(() => true);
  const expected = await whole(pool, 500);
  const { features, ids } = rowsWithIds(500);
  expect(await shared.run(features, ids, 500, NEVER)).toEqual(expected);
  expect(pool.runs).toEqual([275]);
});

test("all rows go to the workers while other requests are under way, and when they are few", async () => {
  let alone = false;
  const { pool, shared } = await started(() => alone);
  const { features, ids } = rowsWithIds(500);
  await shared.run(features, ids, 500, NEVER);
  alone = true;
  await shared.run(features.subarray(0, 200), ids.subarray(0, 200), 100, NEVER);
  expect(pool.runs).toEqual([500, 100]);
});

test("a slower model leaves the calling thread fewer rows, and one that is slower still none", async () => {
  const { pool, shared } = await started(() => true, 0.025);
  const { features, ids } = rowsWithIds(500);
  await shared.run(features, ids, 500, NEVER);
  expect(pool.runs).toEqual([400]);
  const slow = await started(() => true, 0.06);
  expect(slow.shared).toBe(slow.pool);
});

test("workers begin with rows that are offered, once, and the run takes what they answer", async () => {
  const { pool, shared } = await started(() => true);
  const expected = await whole(pool, 500);
  const { features, ids } = rowsWithIds(500);
  for (const ready of [200, 274, 275, 400, 500]) {
    shared.offer?.(features, ids, 500, ready, NEVER);
    expect(pool.runs).toEqual(ready < 275 ? [] : [275]);
  }
  expect(await shared.run(features, ids, 500, NEVER)).toEqual(expected);
  expect(pool.runs).toEqual([275]);
  const others = rowsWithIds(500);
  await shared.run(others.features, others.ids, 500, NEVER);
  expect(pool.runs).toEqual([275, 275]);
});

test("an offer that fails fails the run that takes it, and nothing else", async () => {
  const { pool, shared } = await started(() => true);
  pool.fail = true;
  const taken = rowsWithIds(500);
  const left = rowsWithIds(500);
  shared.offer?.(taken.features, taken.ids, 500, 500, NEVER);
  shared.offer?.(left.features, left.ids, 500, 500, NEVER);
  await expect(shared.run(taken.features, taken.ids, 500, NEVER)).rejects.toThrow("worker died");
  pool.fail = false;
  const again = rowsWithIds(500);
  expect(await shared.run(again.features, again.ids, 500, NEVER)).toHaveLength(1000);
});

test("who gives up a run gives up what the worker began of it", async () => {
  const { pool, shared } = await started(() => true);
  pool.never = true;
  const { features, ids } = rowsWithIds(500);
  shared.offer?.(features, ids, 500, 500, NEVER);
  const controller = new AbortController();
  const run = shared.run(features, ids, 500, controller.signal);
  controller.abort(new Error("too late"));
  await expect(run).rejects.toThrow("too late");
  const left = rowsWithIds(500);
  const request = new AbortController();
  shared.offer?.(left.features, left.ids, 500, 500, request.signal);
  request.abort(new Error("gone"));
  expect(pool.signals.map(({ aborted }) => aborted)).toEqual([true, true]);
});
