import { describe, expect, test } from "vitest";
import { type EventOf, EventSchema } from "../../datasets/events.ts";
import { type Assignment, assign } from "./assign.ts";
import { loadExperiments } from "./config.ts";
import { exposureLogger } from "./exposure-logger.ts";

const NOW = 1_700_000_000_000;
const DAY = 86_400_000;

const assignment = (fields: Partial<Assignment> = {}): Assignment => ({
  key: "a",
  variation: 1,
  variationKey: "treatment",
  inExperiment: true,
  hashUsed: true,
  reason: "assigned",
  bucket: 0.7,
  propensity: 0.5,
  layer: undefined,
  hashAttribute: "user_id",
  hashValue: "7",
  configVersion: "v1",
  ...fields,
});

/** A sink that keeps what it took and can refuse or wait. */
function recorder() {
  const events: EventOf<"exposure">[] = [];
  const state: { refuse: boolean; gate: Promise<void> } = {
    refuse: false,
    gate: Promise.resolve(),
  };
  const sink = async (event: EventOf<"exposure">): Promise<void> => {
    await state.gate;
    if (state.refuse) throw new Error("log is full");
    events.push(event);
  };
  return { events, state, sink };
}
const show = (assignments: Assignment[], nowMs = NOW, userId = "7") => ({
  userId,
  requestId: "r1",
  nowMs,
  assignments,
});

describe("the exposure logger", () => {
  test("writes an exposure once per unit and arm, as a valid event", async () => {
    const { events, sink } = recorder();
    const logger = exposureLogger(sink);
    const first = await logger.log(show([assignment({ layer: "ranking" })]));
    expect(first).toEqual({ logged: 1, repeated: 0, failed: 0 });
    const again = await logger.log(show([assignment({ layer: "ranking" })], NOW + 1000));
    expect(again).toEqual({ logged: 0, repeated: 1, failed: 0 });
    await logger.log(show([assignment({ variation: 0, variationKey: "control" })]));
    await logger.log(show([assignment({ hashValue: "8" })], NOW, "8"));
    await logger.log(show([assignment({ hashAttribute: "device" })]));
    expect(events).toHaveLength(4);
    expect(events[0]).toEqual({
      type: "exposure",
      time_ms: NOW,
      user_id: "7",
      experiment: "a",
      variation: 1,
      variation_key: "treatment",
      layer: "ranking",
      hash_attribute: "user_id",
      hash_value: "7",
      bucket: 0.7,
      reason: "assigned",
      propensity: 0.5,
      config_version: "v1",
      request_id: "r1",
    });
    expect(events.map(({ hash_attribute, hash_value }) => [hash_attribute, hash_value])).toEqual([
      ["user_id", "7"],
      ["user_id", "7"],
      ["user_id", "8"],
      ["device", "7"],
    ]);
    for (const event of events) expect(EventSchema.safeParse(event).success).toBe(true);
  });

  test("a record of before attribute and value were logged is still a valid event", async () => {
    const { events, sink } = recorder();
    await exposureLogger(sink).log(show([assignment()]));
    const { hash_attribute: _, hash_value: __, ...old } = events[0] as EventOf<"exposure">;
    expect(EventSchema.parse(old)).toEqual(old);
  });

  test("never writes forced or excluded units", async () => {
    const { events, sink } = recorder();
    const experiments = [
      { key: "a", status: "running", variations: [{ key: "x" }, { key: "y" }] },
      { key: "b", status: "running", coverage: 0, variations: [{ key: "x" }, { key: "y" }] },
      { key: "c", status: "running", force: "y", variations: [{ key: "x" }, { key: "y" }] },
      { key: "d", status: "running", variations: [{ key: "x" }, { key: "y" }] },
    ];
    const config = loadExperiments({ experiments }, { parameters: [], heads: [] });
    const { assignments } = assign(config, { user_id: "7" }, { forced: { a: "y" } });
    const counts = await exposureLogger(sink).log({ userId: "7", nowMs: NOW, assignments });
    expect(counts).toEqual({ logged: 1, repeated: 0, failed: 0 });
    expect(events.map(({ experiment }) => experiment)).toEqual(["d"]);
    expect(EventSchema.safeParse(events[0]).success).toBe(true);
  });

  test("a refused event does not use the key up: the next request tries again", async () => {
    const { events, state, sink } = recorder();
    const errors: unknown[] = [];
    const logger = exposureLogger(sink, {}, (error) => errors.push(error));
    state.refuse = true;
    expect(await logger.log(show([assignment()]))).toEqual({ logged: 0, repeated: 0, failed: 1 });
    expect(errors).toHaveLength(1);
    expect(logger.size()).toBe(0);
    state.refuse = false;
    expect(await logger.log(show([assignment()]))).toEqual({ logged: 1, repeated: 0, failed: 0 });
    expect(events).toHaveLength(1);
  });

  test("concurrent requests of one unit write once, and again only if that one failed", async () => {
    const { events, state, sink } = recorder();
    const logger = exposureLogger(sink);
    let open = (): void => {};
    state.gate = new Promise((resolve) => {
      open = resolve;
    });
    const both = [logger.log(show([assignment()])), logger.log(show([assignment()]))];
    open();
    expect(await Promise.all(both)).toEqual([
      { logged: 1, repeated: 0, failed: 0 },
      { logged: 0, repeated: 1, failed: 0 },
    ]);
    expect(events).toHaveLength(1);
  });

  test("remembers at most maxKeys, forgetting the least recently seen", async () => {
    const { events, sink } = recorder();
    const logger = exposureLogger(sink, { maxKeys: 2 });
    const see = (hashValue: string) => logger.log(show([assignment({ hashValue })]));
    await see("1");
    await see("2");
    await see("1");
    await see("3");
    expect(logger.size()).toBe(2);
    expect(await see("1")).toMatchObject({ repeated: 1 });
    expect(await see("2")).toMatchObject({ logged: 1 });
    expect(events).toHaveLength(4);
  });

  test("writes again after a day, counted from the last time that it wrote", async () => {
    const { sink } = recorder();
    const logger = exposureLogger(sink);
    await logger.log(show([assignment()], NOW));
    expect(await logger.log(show([assignment()], NOW + DAY - 1))).toMatchObject({ repeated: 1 });
    expect(await logger.log(show([assignment()], NOW + DAY))).toMatchObject({ logged: 1 });
    expect(await logger.log(show([assignment()], NOW + DAY + 1))).toMatchObject({ repeated: 1 });
  });

  test("forgets everything when the configuration changes, events underway included", async () => {
    const { state, sink } = recorder();
    const logger = exposureLogger(sink);
    await logger.log(show([assignment()]));
    expect(await logger.log(show([assignment({ configVersion: "v2" })]))).toMatchObject({
      logged: 1,
    });
    expect(logger.size()).toBe(1);

    let open = (): void => {};
    state.gate = new Promise((resolve) => {
      open = resolve;
    });
    const old = logger.log(show([assignment({ hashValue: "9", configVersion: "v2" })]));
    const fresh = logger.log(show([assignment({ configVersion: "v3" })]));
    open();
    await Promise.all([old, fresh]);
    expect(logger.size()).toBe(1);
  });

  test("refuses a bound that is none", () => {
    const { sink } = recorder();
    expect(() => exposureLogger(sink, { maxKeys: 0 })).toThrow(/maxKeys is 0/);
    expect(() => exposureLogger(sink, { ttlMs: 0 })).toThrow(/ttlMs is 0/);
  });
});
