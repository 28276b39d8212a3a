import type { Worker } from "node:worker_threads";
import { afterEach, expect, test } from "vitest";
import { ModelSlot } from "./model-slot.ts";
import { startSession } from "./start-session.ts";
import { tinyBundle } from "./tiny-model.fixture.ts";

/** A model whose only output is `value` for a feature of 0. */
const constant = (value: number) =>
  tinyBundle({ weights: [1], bias: [value], missingAsZero: true });
const NO_IDS = new Int32Array(0);
const NEVER = new AbortController().signal;

const slots: ModelSlot[] = [];
const emptySlot = (): { slot: ModelSlot; alive: Set<number> } => {
  const alive = new Set<number>();
  let started = 0;
  const slot = new ModelSlot({
    workers: 1,
    startSession: (settings) => {
      const worker = startSession(settings);
      const number = ++started;
      alive.add(number);
      worker.on("exit", () => alive.delete(number));
      return worker;
    },
  });
  slots.push(slot);
  return { slot, alive };
};
afterEach(async () => {
  await Promise.all(slots.splice(0).map((slot) => slot.close()));
});

/** One request: leases, waits as its earlier stages would, runs, releases. */
const ask = async (slot: ModelSlot, pause: () => Promise<unknown> = async () => {}) => {
  const lease = slot.lease();
  if (lease === undefined) throw new Error("no model");
  await pause();
  try {
    const [output] = await lease.inference.run(new Float32Array(1), NO_IDS, 1, NEVER);
    return { output, version: lease.manifest.version };
  } finally {
    lease.release();
  }
};

test("an empty slot has no model", () => {
  const { slot } = emptySlot();
  expect(slot.lease()).toBeUndefined();
  expect(slot.manifest).toBeUndefined();
});

test("a request keeps the model that it began with; its workers end when the last such request does", async () => {
  const { slot, alive } = emptySlot();
  await slot.replace(constant(1));
  let proceed: () => void = () => {};
  const held = ask(
    slot,
    () =>
      new Promise<void>((resolve) => {
        proceed = resolve;
      }),
  );
  await slot.replace(constant(2));
  expect((await ask(slot)).output).toBe(2);
  expect([...alive]).toEqual([1, 2]);
  proceed();
  expect((await held).output).toBe(1);
  while (alive.has(1)) await new Promise((resolve) => setImmediate(resolve));
  expect([...alive]).toEqual([2]);
});

test("no request fails while models are replaced under load, and each answer is of the version it names", async () => {
  const { slot, alive } = emptySlot();
  const bundles = [1, 2, 3, 4].map(constant);
  const expected = new Map(bundles.map(({ manifest }, i) => [manifest.version, i + 1]));
  await slot.replace(bundles[0] as (typeof bundles)[0]);
  let replacing = true;
  const seen = new Set<string>();
  const load = Array.from({ length: 4 }, async () => {
    while (replacing) {
      const { output, version } = await ask(slot);
      expect(output).toBe(expected.get(version));
      seen.add(version);
    }
  });
  for (const bundle of bundles.slice(1)) await slot.replace(bundle);
  replacing = false;
  await Promise.all(load);
  expect(seen.size).toBeGreaterThan(1);
  while (alive.size > 1) await new Promise((resolve) => setImmediate(resolve));
  expect(slot.manifest?.version).toBe(bundles[3]?.manifest.version);
});

test("a bundle that does not load leaves the old model in place", async () => {
  const { slot, alive } = emptySlot();
  await slot.replace(constant(1));
  const broken = tinyBundle({ weights: [1], bias: [2] }, Uint8Array.of(0));
  await expect(slot.replace(broken)).rejects.toMatchObject({ code: "BAD_BUNDLE" });
  expect((await ask(slot)).output).toBe(1);
  while (alive.size > 1) await new Promise((resolve) => setImmediate(resolve));
  expect([...alive]).toEqual([1]);
});

test.each([
  [
    "one that gives NaN when nothing is known",
    tinyBundle({ weights: [1], bias: [2] }),
    /favorite is NaN when all features are missing/,
  ],
  [
    "one that gives NaN for zeros",
    tinyBundle({ weights: [1], bias: [Number.NaN], missingAsZero: true }),
    /favorite is NaN when all features are 0/,
  ],
  [
    "one with more outputs than heads",
    (() => {
      const two = tinyBundle({ weights: [1, 1], bias: [1, 1], missingAsZero: true });
      const [head] = two.manifest.heads;
      return { ...two, manifest: { ...two.manifest, heads: head ? [head] : [] } };
    })(),
    /2 values a row, not one for each of 1 heads/,
  ],
])("%s is refused with the reason, and the old one serves on", async (_, bundle, reason) => {
  const { slot } = emptySlot();
  await slot.replace(constant(1));
  await expect(slot.replace(bundle)).rejects.toMatchObject({
    code: "BAD_BUNDLE",
    message: expect.stringMatching(reason),
  });
  expect((await ask(slot)).output).toBe(1);
});

test("replacements asked for at once run one after the other; the last one stays and the others' workers end", async () => {
  const { slot, alive } = emptySlot();
  await Promise.all([1, 2, 3].map((value) => slot.replace(constant(value))));
  expect((await ask(slot)).output).toBe(3);
  while (alive.size > 1) await new Promise((resolve) => setImmediate(resolve));
  expect([...alive]).toEqual([3]);
});

test("the version in place is not loaded again", async () => {
  const { slot, alive } = emptySlot();
  await slot.replace(constant(1));
  await slot.replace(constant(1));
  expect([...alive]).toEqual([1]);
});

test("releasing twice counts once", async () => {
  const { slot, alive } = emptySlot();
  await slot.replace(constant(1));
  const [first, second] = [slot.lease(), slot.lease()];
  await slot.replace(constant(2));
  first?.release();
  first?.release();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(alive.has(1)).toBe(true);
  second?.release();
  while (alive.has(1)) await new Promise((resolve) => setImmediate(resolve));
});

test("a small model runs on the calling thread, one that is small and slow in a worker", async () => {
  for (const [model, workers] of [
    [{ weights: [1], bias: [1], missingAsZero: true }, 0],
    [{ weights: [1], bias: [1], missingAsZero: true, idle: 2_000 }, 1],
  ] as const) {
    const alive: Worker[] = [];
    const slot = new ModelSlot({
      workers: 1,
      inlineParameters: 100,
      startSession: (settings) => {
        const worker = startSession(settings);
        alive.push(worker);
        return worker;
      },
    });
    slots.push(slot);
    await slot.replace(tinyBundle(model));
    expect(alive).toHaveLength(workers);
    expect((await ask(slot)).output).toBe(1);
  }
});

test("the thread helps a request that holds the model alone, also beside a model that is being replaced", async () => {
  const posted: number[] = [];
  const slot = new ModelSlot({
    workers: 1,
    startSession: (settings) => {
      const worker = startSession(settings);
      const post = worker.postMessage.bind(worker);
      worker.postMessage = (message: unknown) => {
        posted.push((message as { n?: number }).n ?? 0);
        post(message);
      };
      return worker;
    },
  });
  slots.push(slot);
  const run = async (): Promise<number | undefined> => {
    const lease = slot.lease();
    posted.length = 0;
    await lease?.inference.run(new Float32Array(400), NO_IDS, 400, NEVER);
    lease?.release();
    return posted[0];
  };
  await slot.replace(constant(1));
  expect(await run()).toBe(220);
  const other = slot.lease();
  expect(await run()).toBe(400);
  await slot.replace(constant(2));
  expect(await run()).toBe(400);
  other?.release();
  expect(await run()).toBe(220);
});
