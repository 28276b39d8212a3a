import { GrowthBook } from "@growthbook/growthbook";
import { describe, expect, test } from "vitest";
import { RoostError } from "../../errors.ts";
import { type AssignmentSet, assign, stickyKeys } from "./assign.ts";
import { loadExperiments } from "./config.ts";
import type { Overridable } from "./parameter-table.ts";
import { memoryStickyStore } from "./sticky-store.ts";

const KNOWN: Overridable = {
  parameters: [
    { name: "factor", kind: "number" },
    { name: "decay", kind: "number" },
  ],
  heads: ["reply"],
};
const USERS = Array.from({ length: 20_000 }, (_, i) => String(1_580_000_000_000 + 37 * i));

const arms = (parameters: Record<string, number> = {}, weights: Record<string, number> = {}) => [
  { key: "control" },
  { key: "treatment", parameters, weights },
];
const running = (key: string, fields: Record<string, unknown> = {}) => ({
  key,
  status: "running",
  variations: arms(),
  ...fields,
});
const load = (experiments: unknown[], layers: unknown[] = []) =>
  loadExperiments({ layers, experiments }, KNOWN);
const find = (set: AssignmentSet, key: string) => {
  const assignment = set.assignments.find((each) => each.key === key);
  if (assignment === undefined) throw new Error(`no assignment of ${key}`);
  return assignment;
};
const LAYER = { id: "ranking", parameters: ["factor", "weights"] };

describe("an assignment", () => {
  const config = load([
    running("a", { variations: arms({ factor: 0.5 }, { reply: 7 }) }),
    running("b", { variations: arms({ decay: 0.9 }), condition: { country: "JP" } }),
  ]);

  test("merges what the arms override and says how each came about", () => {
    const treated = USERS.find((user_id) => {
      const set = assign(config, { user_id, country: "JP" });
      return set.assignments.every(({ variation }) => variation === 1);
    }) as string;
    const set = assign(config, { user_id: treated, country: "JP" });
    expect(set.parameters).toEqual({ factor: 0.5, decay: 0.9 });
    expect(set.weights).toEqual({ reply: 7 });
    expect(set.assignments[0]).toEqual({
      key: "a",
      variation: 1,
      variationKey: "treatment",
      inExperiment: true,
      hashUsed: true,
      reason: "assigned",
      bucket: expect.closeTo(0.75, 0),
      propensity: 0.5,
      layer: undefined,
      hashAttribute: "user_id",
      hashValue: treated,
      configVersion: config.version,
    });
    expect(set.stickyChanges).toEqual([]);
    expect(assign(config, { user_id: treated, country: "JP" })).toEqual(set);
  });

  test("names the step that excluded the unit, with the first arm and no propensity", () => {
    const excluded = find(assign(config, { user_id: "5", country: "DE" }), "b");
    expect(excluded).toMatchObject({
      inExperiment: false,
      hashUsed: false,
      reason: "condition",
      variation: 0,
      variationKey: "control",
      bucket: null,
      propensity: null,
    });
    expect(find(assign(config, { country: "JP" }), "b")).toMatchObject({
      reason: "no_hash_attribute",
      hashValue: "",
    });
    const others = load([running("c", { coverage: 0 }), running("d", { status: "stopped" })]);
    const set = assign(others, { user_id: "5" });
    expect(set.assignments.map(({ reason }) => reason)).toEqual(["not_in_range", "stopped"]);
  });

  test("draws each arm as often as its propensity says", () => {
    const uneven = load([
      running("uneven", {
        coverage: 0.5,
        variations: [
          { key: "x", weight: 0.7 },
          { key: "y", weight: 0.2 },
          { key: "z", weight: 0.1 },
        ],
      }),
    ]);
    const drawn = USERS.map((user_id) => find(assign(uneven, { user_id }), "uneven")).filter(
      ({ inExperiment }) => inExperiment,
    );
    expect(Math.abs(drawn.length / USERS.length - 0.5)).toBeLessThan(4 * Math.sqrt(0.25 / 20_000));
    for (const [variation, expected] of [0.7, 0.2, 0.1].entries()) {
      const mine = drawn.filter((each) => each.variation === variation);
      const tolerance = 4 * Math.sqrt((expected * (1 - expected)) / drawn.length);
      expect(Math.abs(mine.length / drawn.length - expected)).toBeLessThan(tolerance);
      expect(mine[0]?.propensity).toBeCloseTo(expected, 12);
    }
  });

  test("is the arm that GrowthBook's own SDK gives for the loaded experiment", () => {
    const layered = load(
      [
        running("a", { layer: { id: "ranking", ranges: [[0.1, 0.7]] }, coverage: 0.6 }),
        running("b", { seed: "other", condition: { country: { $in: ["JP"] } } }),
        running("c", { force: "treatment", coverage: 0.3 }),
      ],
      [LAYER],
    );
    let included = 0;
    for (const user_id of USERS.slice(0, 1500)) {
      const attributes = { user_id, country: Number(user_id) % 2 === 0 ? "JP" : "DE" };
      const set = assign(layered, attributes);
      const sdk = new GrowthBook({ attributes });
      for (const { experiment } of layered.experiments) {
        const theirs = sdk.run(experiment as never);
        const ours = find(set, experiment.key);
        expect([ours.variationKey, ours.inExperiment, ours.hashUsed, ours.bucket]).toEqual([
          theirs.key,
          theirs.inExperiment,
          theirs.hashUsed,
          theirs.bucket ?? null,
        ]);
        if (ours.inExperiment) included++;
      }
      sdk.destroy();
    }
    expect(included).toBeGreaterThan(1000);
  });
});

describe("ramping coverage from 1 % to 100 %", () => {
  test("moves nobody between arms, only grows, and keeps the arms' shares", () => {
    const steps = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1].map((coverage) => {
      const config = load([running("ramp", { coverage })]);
      return USERS.map((user_id) => find(assign(config, { user_id }), "ramp"));
    });
    for (const [i, step] of steps.entries()) {
      const included = step.filter(({ inExperiment }) => inExperiment).length;
      const coverage = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1][i] as number;
      expect(Math.abs(included / USERS.length - coverage)).toBeLessThan(0.015);
      for (const [user, before] of (steps[i - 1] ?? []).entries()) {
        if (!before.inExperiment) continue;
        expect(step[user]?.inExperiment).toBe(true);
        expect(step[user]?.variation).toBe(before.variation);
      }
    }
  });
});

describe("a layer", () => {
  const config = load(
    [
      running("a", {
        layer: { id: "ranking", ranges: [[0, 0.3]] },
        variations: arms({ factor: 0.1 }),
      }),
      running("b", {
        layer: {
          id: "ranking",
          ranges: [
            [0.3, 0.5],
            [0.8, 1],
          ],
        },
        variations: arms({ factor: 0.2 }),
      }),
      running("free", { variations: arms({ decay: 0.5 }) }),
    ],
    [LAYER],
  );

  test("puts a unit into at most one of its experiments, by the size of their ranges", () => {
    let [inA, inB] = [0, 0];
    for (const user_id of USERS) {
      const set = assign(config, { user_id });
      const [a, b] = [find(set, "a"), find(set, "b")];
      expect(a.inExperiment && b.inExperiment).toBe(false);
      expect(a.layer).toBe("ranking");
      if (a.inExperiment) inA++;
      else expect(a.reason).toBe("filtered");
      if (b.inExperiment) inB++;
    }
    expect(inA / USERS.length).toBeCloseTo(0.3, 1);
    expect(inB / USERS.length).toBeCloseTo(0.4, 1);
  });

  test("is independent of the split inside it and of experiments beside it", () => {
    const sets = USERS.map((user_id) => assign(config, { user_id }));
    for (const inside of [
      sets
        .map((set) => find(set, "free"))
        .filter((_, i) => find(sets[i] as AssignmentSet, "a").inExperiment),
      sets.map((set) => find(set, "a")).filter(({ inExperiment }) => inExperiment),
    ]) {
      const treated = inside.filter(({ variation }) => variation === 1).length;
      expect(inside.length).toBeGreaterThan(5000);
      expect(Math.abs(treated / inside.length - 0.5)).toBeLessThan(
        4 * Math.sqrt(0.25 / inside.length),
      );
    }
  });

  test("takes the unit out of its other experiments when one is forced", () => {
    const inB = USERS.find((user_id) => find(assign(config, { user_id }), "b").variation === 1);
    const set = assign(config, { user_id: inB }, { forced: { a: "treatment" } });
    expect(find(set, "a")).toMatchObject({ inExperiment: true, hashUsed: false, reason: "forced" });
    expect(find(set, "b")).toMatchObject({ inExperiment: false, reason: "layer_taken" });
    expect(set.parameters).toMatchObject({ factor: 0.1 });
  });

  test("holds against sticky buckets: moved ranges never put a unit into two experiments", () => {
    const sticky = (a: number[][], b: number[][]) =>
      load(
        [
          running("a", { sticky: true, layer: { id: "ranking", ranges: a } }),
          running("b", { sticky: true, layer: { id: "ranking", ranges: b } }),
        ],
        [LAYER],
      );
    const before = sticky([[0, 0.5]], [[0.5, 1]]);
    const after = sticky([[0, 0.2]], [[0.2, 1]]);
    let moved = 0;
    for (const user_id of USERS.slice(0, 2000)) {
      const { stickyChanges } = assign(before, { user_id }, { sticky: [] });
      const set = assign(after, { user_id }, { sticky: stickyChanges });
      expect(set.assignments.filter(({ inExperiment }) => inExperiment)).toHaveLength(1);
      if (find(set, "b").reason === "assigned") moved++;
    }
    expect(moved).toBeGreaterThan(450);
  });
});

describe("forced arms", () => {
  const config = load([
    running("a", { variations: arms({ factor: 0.5 }) }),
    { ...running("draft", { variations: arms({ decay: 0.4 }) }), status: "draft" },
    { ...running("old", { variations: arms({ factor: 0.9 }) }), status: "stopped" },
  ]);

  test("are served, drafts and stopped experiments too, and win over drawn arms", () => {
    const treated = USERS.find((user_id) => find(assign(config, { user_id }), "a").variation === 1);
    const forced = { draft: "treatment", old: "treatment" };
    const set = assign(config, { user_id: treated }, { forced });
    expect(set.parameters).toEqual({ factor: 0.9, decay: 0.4 });
    expect(find(set, "draft")).toMatchObject({
      reason: "forced",
      hashUsed: false,
      propensity: null,
      bucket: null,
    });
  });

  test("that do not exist are refused by name, as are two of one layer", () => {
    const refusal = (forced: Record<string, string>): string => {
      try {
        assign(layered, { user_id: "1" }, { forced });
      } catch (error) {
        return error instanceof RoostError ? `${error.code} ${error.message}` : "other";
      }
      return "none";
    };
    const place = (ranges: number[][]) => ({ layer: { id: "ranking", ranges } });
    const layered = load(
      [running("a", place([[0, 0.5]])), running("b", place([[0.5, 1]]))],
      [LAYER],
    );
    expect(refusal({ x: "y" })).toMatch(/^BAD_REQUEST.*\/forced\/x names no experiment/);
    expect(refusal({ toString: "control" })).toMatch(/^BAD_REQUEST/);
    expect(refusal({ a: "y" })).toMatch(/\/forced\/a must be one of control, treatment, is y/);
    expect(refusal({ a: "control", b: "control" })).toMatch(/\/forced\/b excludes a/);
  });
});

describe("a shipped winner", () => {
  test("is served to all in range, and nobody counts as exposed", () => {
    const config = load([
      running("a", { force: "treatment", coverage: 0.5, variations: arms({ factor: 0.5 }) }),
    ]);
    const drawn = USERS.slice(0, 500).map((user_id) => find(assign(config, { user_id }), "a"));
    expect(drawn.every(({ hashUsed }) => !hashUsed)).toBe(true);
    const reasons = new Set(drawn.map(({ reason }) => reason));
    expect(reasons).toEqual(new Set(["experiment_force", "not_in_range"]));
    const served = drawn.filter(({ inExperiment }) => inExperiment);
    expect(served.every(({ variationKey }) => variationKey === "treatment")).toBe(true);
  });
});

describe("prerequisites", () => {
  test("read the arm of the other experiment, forced ones too, null when outside", () => {
    const config = load([
      running("child", {
        parentConditions: [{ id: "parent", condition: { value: "treatment" } }],
      }),
      running("parent", { coverage: 0.5 }),
      running("outsiders", { parentConditions: [{ id: "parent", condition: { value: null } }] }),
    ]);
    const seen = new Set<string>();
    for (const user_id of USERS.slice(0, 500)) {
      const set = assign(config, { user_id });
      const parent = find(set, "parent");
      const arm = parent.inExperiment ? parent.variationKey : "outside";
      expect(find(set, "child").inExperiment).toBe(arm === "treatment");
      expect(find(set, "outsiders").inExperiment).toBe(arm === "outside");
      seen.add(arm);
    }
    expect(seen.size).toBe(3);
    const forced = assign(config, { user_id: USERS[0] }, { forced: { parent: "treatment" } });
    expect(find(forced, "child").inExperiment).toBe(true);
  });
});

describe("sticky buckets", () => {
  const variations = (share: number) => [
    { key: "control", weight: 1 - share },
    { key: "treatment", weight: share },
  ];

  test("keep a unit in its arm when weights change, through the store", async () => {
    const store = memoryStickyStore();
    const before = load([running("a", { sticky: true, variations: variations(0.5) })]);
    const after = load([running("a", { sticky: true, variations: variations(0.9) })]);
    const users = USERS.slice(0, 300);
    for (const user_id of users) {
      const set = assign(before, { user_id }, { sticky: [] });
      for (const document of set.stickyChanges) await store.merge(document);
    }
    let kept = 0;
    for (const user_id of users) {
      const sticky = await store.read(stickyKeys(after, { user_id }));
      const set = assign(after, { user_id }, { sticky });
      const first = find(assign(before, { user_id }), "a").variation;
      expect(find(set, "a")).toMatchObject({ variation: first, reason: "sticky", hashUsed: true });
      expect(set.stickyChanges).toEqual([]);
      if (find(assign(after, { user_id }), "a").variation !== first) kept++;
    }
    expect(kept).toBeGreaterThan(50);
  });

  test("carry the arm of a device over to the user who signs in", () => {
    const config = load([running("a", { sticky: true, fallbackAttribute: "device" })]);
    for (const user_id of USERS.slice(0, 50)) {
      const device = `d${user_id}`;
      const anonymous = assign(config, { device }, { sticky: [] });
      expect(find(anonymous, "a").hashAttribute).toBe("device");
      expect(stickyKeys(config, { device, user_id })).toEqual([
        `user_id||${user_id}`,
        `device||${device}`,
      ]);
      const set = assign(config, { device, user_id }, { sticky: anonymous.stickyChanges });
      expect(find(set, "a").variation).toBe(find(anonymous, "a").variation);
      expect(set.stickyChanges).toMatchObject([{ attributeName: "user_id" }]);
    }
  });

  test("a raised bucket version draws anew, a minimum version excludes who was in before", () => {
    const sticky = { sticky: true };
    const first = load([running("a", sticky)]);
    const { stickyChanges } = assign(first, { user_id: "5" }, { sticky: [] });
    const again = load([running("a", { ...sticky, bucketVersion: 1 })]);
    const fresh = assign(again, { user_id: "5" }, { sticky: stickyChanges });
    expect(find(fresh, "a").reason).toBe("assigned");
    const blocked = load([running("a", { ...sticky, bucketVersion: 1, minBucketVersion: 1 })]);
    const set = assign(blocked, { user_id: "5" }, { sticky: stickyChanges });
    expect(find(set, "a")).toMatchObject({ inExperiment: false, reason: "sticky_blocked" });
    expect(set.stickyChanges).toEqual([]);
  });

  test("are off unless the experiment asks for them", () => {
    const config = load([running("a")]);
    expect(stickyKeys(config, { user_id: "5" })).toEqual([]);
    expect(assign(config, { user_id: "5" }, { sticky: [] }).stickyChanges).toEqual([]);
  });
});
