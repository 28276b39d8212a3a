import { expect, test } from "vitest";
import type { Leases } from "./leases.ts";

/** Two owners on one empty store, named a and b, and a way to let time pass in it. */
export interface LeaseStore {
  readonly owners: readonly [Leases, Leases];
  pass(ms: number): Promise<void>;
}

/** What every store of leases keeps to. `open` makes an empty one each time, with a TTL of `ttlMs`. */
export function leasesContract(name: string, ttlMs: number, open: () => Promise<LeaseStore>): void {
  test(`${name}: of two who ask, one gets the lease, until it lets go`, async () => {
    const { owners } = await open();
    const asked = await Promise.all(
      Array.from({ length: 10 }, (_, i) => owners[(i % 2) as 0 | 1].acquire("c", 0)),
    );
    expect(asked.filter((grant) => grant !== undefined)).toEqual([{ token: 1 }]);
    const winner = owners[asked.findIndex((grant) => grant !== undefined) % 2 === 0 ? 0 : 1];
    await winner.release("c", 0, 1);
    expect(await owners[1].acquire("c", 0)).toEqual({ token: 2 });
  });

  test(`${name}: partitions and consumers have leases of their own`, async () => {
    const { owners } = await open();
    for (const [consumer, partition] of [
      ["c", 0],
      ["c", 1],
      ["d", 0],
    ] as const) {
      expect(await owners[0].acquire(consumer, partition)).toEqual({ token: 1 });
      expect(await owners[1].acquire(consumer, partition)).toBeUndefined();
    }
  });

  test(`${name}: a dead owner's lease is to be had after its time, a renewed one is not`, async () => {
    const { owners, pass } = await open();
    await owners[0].acquire("c", 0);
    await pass(ttlMs * 0.6);
    expect(await owners[0].renew("c", 0, 1)).toBe(true);
    await pass(ttlMs * 0.6);
    expect(await owners[1].acquire("c", 0)).toBeUndefined();
    await pass(ttlMs * 0.6);
    expect(await owners[1].acquire("c", 0)).toEqual({ token: 2 });
  });

  test(`${name}: an owner that comes back late cannot renew, release or commit`, async () => {
    const { owners, pass } = await open();
    const [late, next] = owners;
    await late.acquire("c", 0);
    await late.commitPosition("c", 0, 10, 1);
    await pass(ttlMs * 1.2);
    expect(await late.renew("c", 0, 1)).toBe(false);
    expect(await next.acquire("c", 0)).toEqual({ token: 2 });
    expect(await next.position("c", 0)).toBe(10);
    await next.commitPosition("c", 0, 20, 2);
    await expect(late.commitPosition("c", 0, 11, 1)).rejects.toMatchObject({ code: "FENCED" });
    expect(await late.renew("c", 0, 1)).toBe(false);
    await late.release("c", 0, 1);
    expect(await late.acquire("c", 0)).toBeUndefined();
    expect(await next.renew("c", 0, 2)).toBe(true);
    expect(await late.position("c", 0)).toBe(20);
  });

  test(`${name}: a commit after the time counts while nobody has come between`, async () => {
    const { owners, pass } = await open();
    await owners[0].acquire("c", 0);
    await pass(ttlMs * 1.2);
    await owners[0].commitPosition("c", 0, 5, 1);
    expect(await owners[1].position("c", 0)).toBe(5);
    await expect(owners[0].commitPosition("c", 0, 6, 7)).rejects.toMatchObject({ code: "FENCED" });
  });

  test(`${name}: whoever asks is told who has the lease, until it ends`, async () => {
    const { owners, pass } = await open();
    expect(await owners[0].holder("c", 0)).toBeUndefined();
    await owners[1].acquire("c", 0);
    const held = await owners[0].holder("c", 0);
    expect(held).toMatchObject({ owner: "b" });
    expect(held?.endsInMs).toBeLessThanOrEqual(ttlMs);
    await pass(ttlMs * 0.3);
    expect((await owners[0].holder("c", 0))?.endsInMs).toBeLessThan(held?.endsInMs as number);
    expect(await owners[0].holder("c", 1)).toBeUndefined();
    await owners[1].release("c", 0, 1);
    expect(await owners[0].holder("c", 0)).toBeUndefined();
    await owners[0].acquire("c", 0);
    expect(await owners[1].holder("c", 0)).toMatchObject({ owner: "a" });
    await pass(ttlMs * 1.2);
    expect(await owners[1].holder("c", 0)).toBeUndefined();
  });

  test(`${name}: a token that the state tells of is exceeded, and later ones go on from there`, async () => {
    const { owners } = await open();
    expect(await owners[0].acquire("c", 0, 70)).toEqual({ token: 71 });
    await owners[0].release("c", 0, 71);
    expect(await owners[1].acquire("c", 0, 5)).toEqual({ token: 72 });
    expect(await owners[1].renew("c", 0, 72)).toBe(true);
    await owners[1].release("c", 0, 72);
    expect(await owners[0].acquire("c", 0)).toEqual({ token: 73 });
  });

  test(`${name}: tokens only grow, and never two owners hold one lease, over many turns`, async () => {
    const { owners, pass } = await open();
    const tokens: number[] = [];
    for (let turn = 0; turn < 12; turn++) {
      const grants = await Promise.all(owners.map((owner) => owner.acquire("c", 0)));
      const won = grants.filter((grant) => grant !== undefined);
      expect(won.length).toBeLessThanOrEqual(1);
      for (const { token } of won) tokens.push(token);
      if (turn % 3 === 0) await pass(ttlMs * 1.2);
      else if (won[0] !== undefined)
        await owners[grants.indexOf(won[0]) as 0 | 1].release("c", 0, won[0].token);
    }
    expect(tokens.length).toBe(12);
    expect(tokens).toEqual(Array.from(tokens, (_, i) => i + 1));
  });
}
