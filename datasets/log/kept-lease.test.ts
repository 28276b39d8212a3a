import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { type KeepOptions, keepLease } from "./kept-lease.ts";
import { type MemoryLeaseStore, memoryLeases } from "./memory-leases.ts";

const TTL_MS = 600;

/** Two owners of one store. */
function setUp() {
  const store: MemoryLeaseStore = new Map();
  const now = (): number => performance.now();
  const [mine, theirs] = ["mine", "theirs"].map((owner) =>
    memoryLeases(TTL_MS, now, owner, store),
  ) as [ReturnType<typeof memoryLeases>, ReturnType<typeof memoryLeases>];
  const lost: Error[] = [];
  const keep = (options: Partial<KeepOptions> = {}) =>
    keepLease(mine, "c", 0, {
      patienceMs: 20 * TTL_MS,
      monotonicMs: now,
      onLost: (error) => lost.push(error),
      ...options,
    });
  return { mine, theirs, lost, keep };
}

test("a killed owner is waited for until its lease ends, and the token exceeds what the state tells of", async () => {
  const { theirs, keep } = setUp();
  await theirs.acquire("c", 0);
  const kept = await keep({ onlyForDead: true, above: async () => 40 });
  expect(kept?.token).toBe(41);
  await kept?.release();
});

test("an owner that renews is not waited for where only a dead one is; another is, until it lets go", async () => {
  const { theirs, keep } = setUp();
  await theirs.acquire("c", 0);
  const renewing = setInterval(() => void theirs.renew("c", 0, 1), TTL_MS / 10);
  expect(await keep({ onlyForDead: true })).toBeUndefined();
  const patient = keep();
  expect(await keep({ patienceMs: TTL_MS / 2 })).toBeUndefined();
  clearInterval(renewing);
  await theirs.release("c", 0, 1);
  expect((await patient)?.token).toBe(2);
});

test("a lease that ran out is had again, with the first token; who had it meanwhile ends that", async () => {
  const { mine, theirs, lost, keep } = setUp();
  const kept = await keep();
  onTestFinished(async () => void (await kept?.release()));
  // Nothing renewed it: the store was away.
  await mine.release("c", 0, 1);
  await expect.poll(() => mine.holder("c", 0)).toMatchObject({ owner: "mine" });
  expect([kept?.token, lost]).toEqual([1, []]);
  await mine.release("c", 0, 2);
  await theirs.acquire("c", 0);
  await expect.poll(() => lost).toMatchObject([{ code: "FENCED" }]);
});

test("a grant that lasts longer in the store than is known here is one's own: it is waited for", async () => {
  const { mine, lost } = setUp();
  // Renewals come to the store, their answers do not come here.
  const deaf = {
    ...mine,
    renew: async (...call: Parameters<typeof mine.renew>) => {
      await mine.renew(...call);
      throw new Error("the answer was lost");
    },
  };
  const kept = await keepLease(deaf, "c", 0, {
    patienceMs: 0,
    monotonicMs: () => performance.now(),
    onLost: (error) => lost.push(error),
  });
  onTestFinished(async () => void (await kept?.release()));
  // Had again with a token of its own.
  await expect.poll(() => mine.renew("c", 0, 2), { timeout: 10_000 }).toBe(true);
  expect(lost).toEqual([]);
});

test("released, it is nobody's, and not had again", async () => {
  const { theirs, lost, keep } = setUp();
  await (await keep())?.release();
  await delay(TTL_MS);
  expect(await theirs.acquire("c", 0)).toEqual({ token: 2 });
  expect(lost).toEqual([]);
});
