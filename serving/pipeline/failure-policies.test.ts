import { describe, expect, test } from "vitest";
import {
  filter,
  hydrator,
  never,
  pageOf,
  pipeline,
  queryHydrator,
  run,
  scorer,
  selector,
  sideEffect,
  source,
  type TestQuery,
} from "./pipeline.fixture.ts";
import type { FailureKind } from "./record.ts";
import type { FailurePolicy, Pipeline } from "./stages.ts";

const FAULTS = {
  rejects: "failed",
  throws: "failed",
  "is late": "late",
  "has the wrong length": "wrong_length",
  "is nowhere finite": "not_finite",
} as const satisfies Record<string, FailureKind>;
type Fault = keyof typeof FAULTS;

/** What a component with this fault does instead of answering. */
function faulty<T>(fault: Fault, wrong: Partial<Record<Fault, T>>): T | Promise<T> {
  if (fault === "rejects") return Promise.reject(new Error("down"));
  if (fault === "throws") throw new Error("down");
  if (fault === "is late") return never<T>();
  return wrong[fault] as T;
}

const ASYNC: Fault[] = ["rejects", "throws", "is late"];
const WHOLE = ["6", "5", "4"];
interface Case {
  readonly faults: Fault[];
  /** The page when the component is skipped (`open`) and when what it could not check is dropped (`closed`). */
  readonly open: string[];
  readonly closed: string[];
  readonly build: (fault: Fault, onFailure: FailurePolicy) => Partial<Pipeline<TestQuery>>;
}
const late = (onFailure: FailurePolicy) => ({ onFailure, timeoutMs: 5 });
const hydrating = (fault: Fault, onFailure: FailurePolicy) =>
  hydrator(
    "probe",
    () => faulty(fault, { "has the wrong length": { columns: { x: new Float32Array(1) } } }),
    late(onFailure),
  );
const scoring = (fault: Fault, onFailure: FailurePolicy, field: "score" | "multiplier") =>
  scorer(
    "probe",
    (_query, { n }) =>
      faulty(fault, {
        "has the wrong length": { [field]: new Float64Array(n + 1) },
        "is nowhere finite": { [field]: new Float64Array(n).fill(Number.NaN) },
      }),
    late(onFailure),
  );
const SHAPED: Fault[] = [...ASYNC, "has the wrong length"];
const SCORED: Fault[] = [...SHAPED, "is nowhere finite"];

const CASES: Record<string, Case> = {
  "query hydrator": {
    faults: ASYNC,
    open: WHOLE,
    closed: [],
    build: (fault, onFailure) => ({
      queryHydrators: [queryHydrator("probe", () => faulty(fault, {}), late(onFailure))],
    }),
  },
  source: {
    faults: SHAPED,
    open: WHOLE,
    closed: WHOLE,
    build: (fault, onFailure) => ({
      sources: [
        source(
          "probe",
          () => faulty(fault, { "has the wrong length": { postIds: ["9"], authorIds: [] } }),
          late(onFailure),
        ),
        ...pipeline().sources,
      ],
    }),
  },
  hydrator: {
    faults: SHAPED,
    open: WHOLE,
    closed: [],
    build: (...probe) => ({ hydrators: [hydrating(...probe)] }),
  },
  "light hydrator": {
    faults: SHAPED,
    open: WHOLE,
    closed: [],
    build: (...probe) => ({ lightHydrators: [hydrating(...probe)] }),
  },
  "heavy hydrator": {
    faults: SHAPED,
    open: WHOLE,
    closed: [],
    build: (...probe) => ({ heavyHydrators: [hydrating(...probe)] }),
  },
  "selected hydrator": {
    faults: SHAPED,
    open: WHOLE,
    closed: [],
    build: (...probe) => ({ selectedHydrators: [hydrating(...probe)] }),
  },
  "merge filter": {
    faults: ["throws"],
    open: WHOLE,
    closed: [],
    build: (fault, onFailure) => ({
      mergeFilters: [filter("probe", () => faulty(fault, {}) as never, { onFailure })],
    }),
  },
  filter: {
    faults: ["throws"],
    open: WHOLE,
    closed: [],
    build: (fault, onFailure) => ({
      filters: [filter("probe", () => faulty(fault, {}) as never, { onFailure })],
    }),
  },
  "selected filter": {
    faults: ["throws"],
    open: WHOLE,
    closed: [],
    build: (fault, onFailure) => ({
      selectedFilters: [filter("probe", () => faulty(fault, {}) as never, { onFailure })],
    }),
  },
  "light scorer": {
    faults: SCORED,
    open: WHOLE,
    closed: [],
    build: (fault, onFailure) => ({ lightScorers: [scoring(fault, onFailure, "score")] }),
  },
  "heavy scorer": {
    faults: SCORED,
    open: WHOLE,
    closed: [],
    build: (fault, onFailure) => ({
      heavyScorers: [...pipeline().heavyScorers, scoring(fault, onFailure, "score")],
    }),
  },
  "adjusting scorer": {
    faults: SCORED,
    open: WHOLE,
    closed: [],
    build: (fault, onFailure) => ({ adjustingScorers: [scoring(fault, onFailure, "multiplier")] }),
  },
  selector: {
    faults: ["throws", "has the wrong length"],
    open: WHOLE,
    closed: [],
    build: (fault, onFailure) => ({
      selector: selector(
        "probe",
        () => faulty(fault, { "has the wrong length": Int32Array.of(0, 0) }) as Int32Array,
        { onFailure },
      ),
    }),
  },
};

for (const [kind, { faults, build, ...pages }] of Object.entries(CASES)) {
  describe(`a ${kind} that`, () => {
    for (const fault of faults) {
      for (const policy of ["open", "closed"] as const) {
        test(`${fault} is named and, ${policy}, leaves ${pages[policy].length} of 3 posts`, async () => {
          const answer = await run(pipeline(build(fault, policy)));
          expect(pageOf(answer)).toEqual(pages[policy]);
          expect(answer.record.degraded()).toEqual([{ component: "probe", kind: FAULTS[fault] }]);
        });
      }
      test(`${fault} fails the request when required`, async () => {
        const code = {
          failed: "COMPONENT_FAILED",
          late: "COMPONENT_TIMEOUT",
          wrong_length: "COLUMN_LENGTH",
          not_finite: "NOT_FINITE",
        }[FAULTS[fault]];
        await expect(run(pipeline(build(fault, "required")))).rejects.toMatchObject({ code });
      });
    }
  });
}

for (const policy of ["open", "closed", "required"] as const) {
  for (const fault of ["rejects", "is late"] as const) {
    test(`a side effect that ${fault} is only reported when ${policy}`, async () => {
      const effect = sideEffect("probe", () => faulty<void>(fault, {}) as Promise<void>, {
        onFailure: policy,
        timeoutMs: 5,
      });
      const answer = await run(pipeline({ sideEffects: [effect] }));
      expect(answer.record.degraded()).toEqual([]);
      await answer.afterAnswer();
      expect(answer.record.degraded()).toEqual([{ component: "probe", kind: FAULTS[fault] }]);
    });
  }
}

test("a component whose enabled() throws has failed", async () => {
  const probe = (onFailure: FailurePolicy) =>
    filter("probe", () => () => true, {
      onFailure,
      enabled: () => {
        throw new Error("no flag");
      },
    });
  expect(pageOf(await run(pipeline({ filters: [probe("open")] })))).toEqual(WHOLE);
  expect(pageOf(await run(pipeline({ filters: [probe("closed")] })))).toEqual([]);
  await expect(run(pipeline({ filters: [probe("required")] }))).rejects.toMatchObject({
    code: "COMPONENT_FAILED",
  });
});

test("a filter that throws midway keeps what it passed when closed and restores what it dropped when open", async () => {
  const probe = (onFailure: FailurePolicy) =>
    filter(
      "probe",
      (_query, { postIds }) =>
        (row) => {
          if (postIds[row] === "4") throw new Error("cannot tell");
          return postIds[row] === "1" ? "first" : true;
        },
      { onFailure },
    );
  const open = await run(pipeline({ filters: [probe("open")] }), { sizes: { limit: 9 } });
  expect(pageOf(open)).toEqual(["6", "5", "4", "3", "2", "1"]);
  expect(open.record.dropped()).toEqual([]);
  const closed = await run(pipeline({ filters: [probe("closed")] }), { sizes: { limit: 9 } });
  expect(pageOf(closed)).toEqual(["3", "2"]);
  expect(closed.record.dropped()).toEqual([
    { post_id: "1", source: "main", component: "probe", rule: "first" },
    ...["4", "5", "6"].map((post_id) => ({
      post_id,
      source: "main",
      component: "probe",
      rule: "could not be checked",
    })),
  ]);
});

test("rows that a hydrator could not hydrate are dropped when closed and stay when open", async () => {
  const probe = (onFailure: FailurePolicy) =>
    hydrator(
      "probe",
      (_query, { n, postIds }) => ({
        columns: { x: new Float32Array(n) },
        failed: Uint8Array.from(postIds, (id) => (id === "6" ? 1 : 0)),
      }),
      { onFailure },
    );
  const open = await run(pipeline({ hydrators: [probe("open")] }));
  expect(pageOf(open)).toEqual(WHOLE);
  expect(open.record.failures).toMatchObject([{ component: "probe", kind: "failed", rows: 1 }]);
  const closed = await run(pipeline({ hydrators: [probe("closed")] }));
  expect(pageOf(closed)).toEqual(["5", "4", "3"]);
  await expect(run(pipeline({ hydrators: [probe("required")] }))).rejects.toMatchObject({
    code: "COMPONENT_FAILED",
  });
});

const partlyNaN = (onFailure: FailurePolicy, field: "score" | "multiplier") =>
  scorer(
    "probe",
    (_query, { postIds }) => ({
      [field]: Float64Array.from(postIds, (id) =>
        id === "6" ? Number.NaN : field === "score" ? Number(id) : 0.5,
      ),
    }),
    { onFailure },
  );

test("a row scored NaN ranks last when open, is dropped when closed, fails the request when required", async () => {
  const all = { sizes: { limit: 9 } };
  const open = await run(pipeline({ heavyScorers: [partlyNaN("open", "score")] }), all);
  expect(pageOf(open)).toEqual(["5", "4", "3", "2", "1", "6"]);
  expect(open.record.failures).toMatchObject([{ kind: "not_finite", rows: 1 }]);
  const closed = await run(pipeline({ heavyScorers: [partlyNaN("closed", "score")] }), all);
  expect(pageOf(closed)).toEqual(["5", "4", "3", "2", "1"]);
  await expect(
    run(pipeline({ heavyScorers: [partlyNaN("required", "score")] })),
  ).rejects.toMatchObject({ code: "NOT_FINITE" });
});

test("a NaN multiplier leaves its row's score as it was", async () => {
  const answer = await run(pipeline({ adjustingScorers: [partlyNaN("open", "multiplier")] }));
  expect(Array.from(answer.page, (row) => answer.table.score[row])).toEqual([6, 2.5, 2]);
  expect(answer.record.degraded()).toEqual([{ component: "probe", kind: "not_finite" }]);
});

test("NaN rows are put down to the scorer where they began, not to those that read them", async () => {
  const model = scorer("model", (_query, { postIds }) => ({
    columns: { p: Float64Array.from(postIds, (id) => (id === "6" ? Number.NaN : Number(id))) },
  }));
  const sum = scorer("sum", (_query, { columns }) => ({
    score: Float64Array.from(columns.get("p") as Float64Array),
  }));
  const answer = await run(pipeline({ heavyScorers: [model, sum] }));
  expect(pageOf(answer)).toEqual(["5", "4", "3"]);
  expect(answer.record.degraded()).toEqual([{ component: "model", kind: "not_finite" }]);
});

test("a NaN row is not reported again after a closed scorer dropped rows above it", async () => {
  const model = scorer("model", (_query, { postIds }) => ({
    columns: { p: Float64Array.from(postIds, (id) => (id === "6" ? Number.NaN : Number(id))) },
  }));
  const gate = scorer(
    "gate",
    (_query, { postIds }) => ({
      columns: { g: Float64Array.from(postIds, (id) => (id === "2" ? Number.NaN : 1)) },
    }),
    { onFailure: "closed" },
  );
  const sum = scorer("sum", (_query, { columns }) => ({
    score: Float64Array.from(columns.get("p") as Float64Array),
  }));
  const answer = await run(pipeline({ heavyScorers: [model, gate, sum] }), { sizes: { limit: 9 } });
  expect(pageOf(answer)).toEqual(["5", "4", "3", "1", "6"]);
  expect(answer.record.failures).toMatchObject([
    { component: "model", rows: 1 },
    { component: "gate", rows: 1 },
  ]);
  expect(answer.record.failures).toHaveLength(2);
});

test("when the heavy scorer fails, the light score orders the page", async () => {
  const light = scorer("light", (_query, { postIds }) => ({
    score: Float64Array.from(postIds, (id) => -Number(id)),
  }));
  const heavy = scorer("heavy_model", () => Promise.reject(new Error("down")));
  const answer = await run(pipeline({ lightScorers: [light], heavyScorers: [heavy] }));
  expect(pageOf(answer)).toEqual(["1", "2", "3"]);
});
