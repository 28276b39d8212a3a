import { expect, test } from "vitest";
import { FanOutLoad, type FanOutLoadOptions, type LoadState } from "./fan-out-load.ts";

const OPTIONS: FanOutLoadOptions = {
  busyS: 1,
  overloadedS: 5,
  mostWaiting: 1_000_000,
  assumedPerS: 10_000,
};

/** A line served at `capacity` a second: what writers offer by second, of which the admitted share comes in. */
function simulate(offeredPerS: (second: number) => number, seconds: number, capacity = 10_000) {
  const load = new FanOutLoad(OPTIONS);
  let waiting = 0;
  let refused = 0;
  let admitted = 0;
  let written = 0;
  let most = 0;
  const states: LoadState[] = [];
  for (let tick = 1; tick <= seconds * 10; tick++) {
    const offered = offeredPerS(tick / 10) / 10;
    const arrived = offered * load.admitShare;
    refused += offered - arrived;
    admitted += arrived;
    const now = Math.min(waiting + arrived, capacity / 10);
    waiting += arrived - now;
    written += now;
    most = Math.max(most, waiting);
    load.look({ nowMs: tick * 100, arrived, written: now, waiting: Math.round(waiting) });
    if (states.at(-1) !== load.state) states.push(load.state);
  }
  return { load, states, most, refused, admitted, written, waiting };
}

test("a steady load below capacity stays normal", () => {
  const { load, states, refused } = simulate(() => 8_000, 60);
  expect(states).toEqual(["normal"]);
  expect([load.reason, load.admitShare, load.deferredShare, refused]).toEqual(["", 1, 1, 0]);
});

test("ten times the rate for ten seconds: the queue is bounded, all that came in is written, and it returns", () => {
  const burst = (second: number) => (second > 5 && second <= 15 ? 50_000 : 5_000);
  const { load, states, most, refused, admitted, written, waiting } = simulate(burst, 90);
  expect(states.slice(0, 3)).toEqual(["normal", "busy", "overloaded"]);
  expect(load.state).toBe("normal");
  expect([load.admitShare, load.deferredShare]).toEqual([1, 1]);
  // The bound of waiting time, at this capacity, and what arrives until it is seen.
  expect(most).toBeLessThan(1.5 * OPTIONS.overloadedS * 10_000);
  expect(refused).toBeGreaterThan(0);
  expect(admitted).toBeCloseTo(written + waiting, 3);
  expect(waiting).toBeLessThan(1);
});

test("under lasting overload it neither flaps from look to look nor lets the queue grow", () => {
  const { states, most } = simulate(() => 40_000, 120);
  expect(states.length).toBeLessThan(40);
  expect(states.filter((state) => state === "overloaded").length).toBeLessThan(4);
  expect(most).toBeLessThan(1.5 * OPTIONS.overloadedS * 10_000);
});

test("busy rounds are larger and leave less to what can wait; overloaded ones more so, but never nothing", () => {
  const load = new FanOutLoad(OPTIONS);
  const look = (nowMs: number, waiting: number) =>
    load.look({ nowMs, arrived: 1_000, written: 1_000, waiting });
  look(100, 0);
  const normal = [load.roundSize, load.deferredShare];
  look(200, 20_000);
  expect([load.state, load.admitShare]).toEqual(["busy", 1]);
  const busy = [load.roundSize, load.deferredShare];
  look(300, 60_000);
  expect([load.state, load.admitShare]).toEqual(["overloaded", 0]);
  expect(load.reason).toMatch(/^60000 timelines wait at \d+ written a second: \d+\.\d s$/);
  const overloaded = [load.roundSize, load.deferredShare];
  for (const [less, more] of [
    [normal[0], busy[0]],
    [busy[0], overloaded[0]],
    [busy[1], normal[1]],
    [overloaded[1], busy[1]],
    [0, overloaded[1]],
  ] as number[][])
    expect(less as number).toBeLessThan(more as number);
});

test("it returns one state at a time after a calm while, and shares come back by and by", () => {
  const load = new FanOutLoad(OPTIONS);
  let nowMs = 0;
  const look = (waiting: number, times = 1) => {
    for (let i = 0; i < times; i++) {
      nowMs += 100;
      load.look({ nowMs, arrived: 0, written: 1_000, waiting });
    }
  };
  look(1, 1);
  look(80_000, 1);
  expect(load.state).toBe("overloaded");
  look(1, 20);
  expect(load.state).toBe("overloaded");
  look(1, 1);
  expect([load.state, load.admitShare > 0, load.admitShare < 0.05]).toEqual(["busy", true, true]);
  // A wait between leaving and entering keeps the state.
  look(8_000, 100);
  expect(load.state).toBe("busy");
  look(1, 21);
  expect(load.state).toBe("normal");
  expect(load.deferredShare).toBeLessThan(0.5);
  look(1, 100);
  expect([load.deferredShare, load.admitShare]).toEqual([1, 1]);
});

test("a refused writer is told when the wait will be short again, a minute at most", () => {
  const load = new FanOutLoad(OPTIONS);
  const look = (waiting: number) =>
    load.look({ nowMs: 100 * waiting, arrived: 0, written: 1_000 * waiting, waiting });
  look(1);
  expect(load.retryAfterS).toBe(1);
  load.look({ nowMs: 200, arrived: 0, written: 1_000, waiting: 71_000 });
  expect(load.completionS).toBeCloseTo(7.1, 1);
  expect(load.retryAfterS).toBe(7);
  load.look({ nowMs: 300, arrived: 0, written: 1_000, waiting: 10_000_000 });
  expect(load.retryAfterS).toBe(60);
});

test("a store that takes nothing any more is overload, whatever rate it had", () => {
  const load = new FanOutLoad(OPTIONS);
  load.look({ nowMs: 100, arrived: 10, written: 0, waiting: 10 });
  expect(load.state).toBe("normal");
  for (let i = 2; i <= 100; i++)
    load.look({ nowMs: i * 100, arrived: 10, written: 0, waiting: i * 10 });
  expect(load.state).toBe("overloaded");
});
