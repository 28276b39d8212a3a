import { getEventListeners } from "node:events";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  byId,
  dropping,
  filter,
  hydrator,
  never,
  pageOf,
  pipeline,
  postsOf,
  queryHydrator,
  run,
  scorer,
  selector,
  sideEffect,
  source,
} from "./pipeline.fixture.ts";
import { RequestRecord, STAGES } from "./record.ts";
import { topRows } from "./top-rows.ts";

test("stages run in the order in which the pipeline lists them", async () => {
  const seen: string[] = [];
  const note = <T>(name: string, value: T): T => {
    seen.push(name);
    return value;
  };
  const answer = await run(
    pipeline({
      queryHydrators: [queryHydrator("query", () => note("query", {}))],
      sources: [source("fetch", () => note("fetch", postsOf(["1", "2"])))],
      mergeFilters: [filter("merge", () => note("merge", () => true))],
      hydrators: [hydrator("hydrate", () => note("hydrate", {}))],
      filters: [
        filter("filter_1", () => note("filter_1", () => true)),
        filter("filter_2", () => note("filter_2", () => true)),
      ],
      lightHydrators: [hydrator("light_features", () => note("light_features", {}))],
      lightScorers: [scorer("light", () => note("light", {}))],
      heavyHydrators: [hydrator("heavy_features", () => note("heavy_features", {}))],
      heavyScorers: [scorer("heavy", () => note("heavy", {})), byId("sum")],
      adjustingScorers: [scorer("adjust", () => note("adjust", {}))],
      selector: selector("select", (_query, { score, postIds, n }) =>
        note("select", topRows(score, postIds, n)),
      ),
      selectedHydrators: [hydrator("verdicts", () => note("verdicts", {}))],
      selectedFilters: [filter("visible", () => note("visible", () => true))],
      sideEffects: [sideEffect("after", async () => note("after", undefined))],
    }),
  );
  const before = [
    ...["query", "fetch", "merge", "hydrate", "filter_1", "filter_2", "light_features", "light"],
    ...["heavy_features", "heavy", "adjust", "select", "verdicts", "visible"],
  ];
  expect(seen).toEqual(before);
  await answer.afterAnswer();
  expect(seen).toEqual([...before, "after"]);
  expect(Object.keys(answer.record.stageMs)).toEqual([...STAGES]);
});

test("hydrated fields of the query reach later stages; of two writers the later in the list wins", async () => {
  const answer = await run(
    pipeline({
      queryHydrators: [
        queryHydrator("slow", async () => ({ note: "slow" })),
        queryHydrator("quick", () => ({ note: "quick", sizes: { limit: 1 } })),
      ],
    }),
  );
  expect(answer.query.note).toBe("quick");
  expect(pageOf(answer)).toEqual(["6"]);
});

test("the first source in declaration order keeps a duplicate, however late it answers", async () => {
  const slow = source("slow", async () => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return { ...postsOf(["1", "2"]), columns: { rank: Float32Array.of(10, 20) } };
  });
  const quick = source("quick", () => ({
    ...postsOf(["2", "3"]),
    columns: { rank: Float32Array.of(30, 40), why: ["x", "y"] },
  }));
  const { table, record, page } = await run(pipeline({ sources: [slow, quick] }));
  const rows = [...page].sort((a, b) => Number(table.postIds[a]) - Number(table.postIds[b]));
  expect(rows.map((row) => table.sourceNames[table.source[row] as number])).toEqual([
    "slow",
    "slow",
    "quick",
  ]);
  expect(rows.map((row) => table.columns.get("rank")?.[row])).toEqual([10, 20, 40]);
  expect(rows.map((row) => table.columns.get("why")?.[row])).toEqual(["", "", "y"]);
  expect(record.dropped()).toEqual([
    { post_id: "2", source: "quick", component: "duplicate", rule: "kept from slow" },
  ]);
});

test("components of a parallel stage are all started before any of them ends", async () => {
  for (const kind of ["queryHydrators", "sources", "hydrators"] as const) {
    let waiting = 0;
    let open: () => void = () => {};
    const together = new Promise<void>((resolve) => {
      open = resolve;
    });
    const meet = async <T>(value: T): Promise<T> => {
      if (++waiting === 3) open();
      await together;
      return value;
    };
    const names = ["one", "two", "three"];
    await run(
      pipeline({
        [kind]: names.map((name) =>
          kind === "sources"
            ? source(name, () => meet(postsOf(["1"])))
            : kind === "hydrators"
              ? hydrator(name, () => meet({}))
              : queryHydrator(name, () => meet({})),
        ),
      }),
    );
    expect(waiting).toBe(3);
  }
});

test("a filter sees only what the ones before it kept, and explain names the rule of each drop", async () => {
  const asked: string[] = [];
  const { record } = await run(
    pipeline({
      filters: [
        dropping("first", "1", "2"),
        filter("second", (_query, { postIds }) => (row) => {
          asked.push(postIds[row] as string);
          return postIds[row] !== "3";
        }),
      ],
    }),
    { sizes: { limit: 9 } },
  );
  expect(asked).toEqual(["3", "4", "5", "6"]);
  expect(record.dropped()).toEqual([
    { post_id: "1", source: "main", component: "first", rule: "listed" },
    { post_id: "2", source: "main", component: "first", rule: "listed" },
    { post_id: "3", source: "main", component: "second", rule: "second" },
  ]);
});

test("the light score decides which rows the heavy scorer sees", async () => {
  let scored: readonly string[] = [];
  const heavy = scorer("heavy", (_query, { postIds }) => {
    scored = postIds;
    return { score: Float64Array.from(postIds, Number) };
  });
  const answer = await run(pipeline({ lightScorers: [byId("light", -1)], heavyScorers: [heavy] }), {
    sizes: { heavyLimit: 4 },
  });
  expect([...scored].sort()).toEqual(["1", "2", "3", "4"]);
  expect(pageOf(answer)).toEqual(["4", "3", "2"]);
  expect(answer.record.dropped()).toContainEqual({
    post_id: "6",
    source: "main",
    component: "light_cut",
    rule: "below the best 4 by light score",
  });
});

test("multipliers multiply the score and stay readable as columns", async () => {
  const half = scorer("half", (_query, { n }) => ({
    multiplier: new Float64Array(n).fill(0.5),
  }));
  const { table, page } = await run(pipeline({ adjustingScorers: [half] }));
  expect(table.score[page[0] as number]).toBe(3);
  expect(table.columns.get("multiplier_half")?.[page[0] as number]).toBe(0.5);
});

test("a disabled component does not run and does not count as failed", async () => {
  const off = { enabled: () => false };
  const answer = await run(
    pipeline({
      sources: [...pipeline().sources, source("off_source", ["9"], off)],
      hydrators: [hydrator("off_hydrator", never, { ...off, onFailure: "closed" })],
      filters: [filter("off_filter", () => () => false, off)],
      heavyScorers: [byId("sum"), scorer("off_scorer", never, off)],
    }),
  );
  expect(pageOf(answer)).toEqual(["6", "5", "4"]);
  expect(answer.record.degraded()).toEqual([]);
  const disabled = answer.record.components.filter(({ enabled }) => !enabled);
  expect(disabled.map(({ name }) => name)).toEqual([
    "off_source",
    "off_hydrator",
    "off_filter",
    "off_scorer",
  ]);
});

test("an aborted request rejects with the signal's reason, tells its components and lets go of the signal", async () => {
  const controller = new AbortController();
  const record = new RequestRecord();
  const signals: AbortSignal[] = [];
  let heavyRan = false;
  const waiting = run(
    pipeline({
      hydrators: ["one", "two"].map((name) =>
        hydrator(name, (_query, _table, signal) => {
          signals.push(signal);
          return never();
        }),
      ),
      heavyScorers: [
        scorer("heavy", () => {
          heavyRan = true;
          return {};
        }),
      ],
    }),
    {},
    { signal: controller.signal, record },
  );
  while (signals.length < 2) await new Promise((resolve) => setImmediate(resolve));
  const reason = new Error("client left");
  controller.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  expect(signals.map((signal) => signal.aborted)).toEqual([true, true]);
  expect(heavyRan).toBe(false);
  expect(record.failures).toEqual([]);
  expect(getEventListeners(controller.signal, "abort")).toEqual([]);
});

test("a request that is aborted before it starts runs nothing", async () => {
  let ran = false;
  const probe = source("probe", () => {
    ran = true;
    return postsOf([]);
  });
  const signal = AbortSignal.abort(new Error("gone"));
  await expect(run(pipeline({ sources: [probe] }), {}, { signal })).rejects.toThrow("gone");
  expect(ran).toBe(false);
});

test("a component that is late is told so by its signal, and nothing keeps listening after the request", async () => {
  const controller = new AbortController();
  const told: AbortSignal[] = [];
  await run(
    pipeline({
      hydrators: [
        hydrator(
          "late",
          (_query, _table, signal) => {
            told.push(signal);
            return never();
          },
          { timeoutMs: 5 },
        ),
      ],
    }),
    {},
    { signal: controller.signal },
  );
  expect(told[0]?.reason).toMatchObject({ code: "COMPONENT_TIMEOUT" });
  expect(getEventListeners(controller.signal, "abort")).toEqual([]);
});

test("a required failure stops its siblings", async () => {
  let sibling: AbortSignal | undefined;
  const failing = run(
    pipeline({
      hydrators: [
        hydrator("waits", (_query, _table, signal) => {
          sibling = signal;
          return never();
        }),
        hydrator("needed", () => Promise.reject(new Error("down")), { onFailure: "required" }),
      ],
    }),
  );
  await expect(failing).rejects.toMatchObject({ code: "COMPONENT_FAILED" });
  await new Promise((resolve) => setImmediate(resolve));
  expect(sibling?.aborted).toBe(true);
});

test("past its deadline a request starts no awaited work and answers with what it has", async () => {
  let clock = 0;
  let heavyStarted = false;
  const answer = await run(
    pipeline({
      lightScorers: [
        scorer(
          "light",
          (_query, { postIds }) => {
            clock = 200;
            return { score: Float64Array.from(postIds, (id) => -Number(id)) };
          },
          { timeoutMs: 0 },
        ),
      ],
      heavyScorers: [
        scorer("heavy", async () => {
          heavyStarted = true;
          return {};
        }),
      ],
    }),
    {},
    { now: () => clock, deadlineAt: 100 },
  );
  expect(heavyStarted).toBe(false);
  expect(pageOf(answer)).toEqual(["1", "2", "3"]);
  expect(answer.record.degraded()).toEqual([{ component: "heavy", kind: "deadline" }]);
});

test("work under way at the deadline is cut and the page is made without it", async () => {
  const start = performance.now();
  const answer = await run(
    pipeline({ hydrators: [hydrator("slow", never, { timeoutMs: 60_000 })] }),
    {},
    { deadlineAt: start + 20 },
  );
  expect(pageOf(answer)).toEqual(["6", "5", "4"]);
  expect(answer.record.degraded()).toContainEqual({ component: "slow", kind: "deadline" });
});

test("a deadline that leaves no candidate is an error, as is one that cuts a required component", async () => {
  const late = { now: () => 200, deadlineAt: 100 };
  await expect(run(pipeline(), {}, late)).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
  const needed = pipeline({
    sources: [source("main", ["1"], { timeoutMs: 0 })],
    hydrators: [hydrator("needed", never, { onFailure: "required" })],
  });
  await expect(run(needed, {}, late)).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
});

test("a component that promises although it declares itself synchronous has failed", async () => {
  const answer = await run(
    pipeline({ hydrators: [hydrator("liar", async () => ({}), { timeoutMs: 0 })] }),
  );
  expect(answer.record.failures).toMatchObject([{ component: "liar", kind: "failed" }]);
});

test("side effects start after the answer only, once, and see the page and the rest", async () => {
  const seen: [number, number][] = [];
  const controller = new AbortController();
  const answer = await run(
    pipeline({
      sideEffects: [
        sideEffect("log", async (_query, { page, table }, signal) => {
          signal.throwIfAborted();
          seen.push([page.length, table.n]);
        }),
      ],
    }),
    {},
    { signal: controller.signal },
  );
  expect(seen).toEqual([]);
  controller.abort(new Error("client left after the answer"));
  await Promise.all([answer.afterAnswer(), answer.afterAnswer()]);
  expect(seen).toEqual([[3, 6]]);
  expect(answer.record.degraded()).toEqual([]);
});

test("side effects run although the request's deadline has passed", async () => {
  let clock = 0;
  let logged = false;
  const answer = await run(
    pipeline({
      sideEffects: [
        sideEffect("log", async () => {
          logged = true;
        }),
      ],
    }),
    {},
    { now: () => clock, deadlineAt: 100 },
  );
  clock = 200;
  await answer.afterAnswer();
  expect(logged).toBe(true);
  expect(answer.record.degraded()).toEqual([]);
});

test("the record of a request that fails is kept for its log line", async () => {
  const record = new RequestRecord();
  const failing = pipeline({
    heavyScorers: [
      scorer("needed", () => Promise.reject(new Error("no model")), { onFailure: "required" }),
    ],
  });
  await expect(run(failing, {}, { record })).rejects.toThrow();
  expect(record.failures).toMatchObject([{ component: "needed", detail: "no model" }]);
  expect(record.components.find(({ name }) => name === "main")?.rowsOut).toBe(6);
});

const ids = fc.uniqueArray(fc.nat(40).map(String), { maxLength: 30 });

test("every candidate is on the page or dropped by exactly one component, and each component's rows add up", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(ids, { minLength: 1, maxLength: 4 }),
      fc.tuple(ids, ids, ids),
      fc.record({ heavyLimit: fc.nat(20), limit: fc.nat(12), reserve: fc.nat(5) }),
      async (lists, [merge, early, late], sizes) => {
        const answer = await run(
          pipeline({
            sources: lists.map((list, i) => source(`source_${i}`, list)),
            mergeFilters: [dropping("served", ...merge)],
            filters: [dropping("early", ...early)],
            lightScorers: [byId("light", -1)],
            selectedFilters: [dropping("late", ...late)],
          }),
          { sizes },
        );
        const { record } = answer;
        const total = lists.reduce((sum, list) => sum + list.length, 0);
        expect(record.candidates.postIds).toHaveLength(total);
        expect(record.dropped().length + answer.page.length).toBe(total);
        const drops = new Map<string, number>();
        for (const { component } of record.dropped())
          drops.set(component, (drops.get(component) ?? 0) + 1);
        for (const { name, stage, rowsIn, rowsOut } of record.components)
          if (stage !== "sources")
            expect([name, rowsIn - rowsOut]).toEqual([name, drops.get(name) ?? 0]);

        const unique = [...new Set(lists.flat())].filter(
          (id) => !merge.includes(id) && !early.includes(id),
        );
        const light = unique.sort((a, b) => Number(a) - Number(b)).slice(0, sizes.heavyLimit);
        const expected = light.reverse().filter((id) => !late.includes(id));
        expect(pageOf(answer)).toEqual(expected.slice(0, sizes.limit));
      },
    ),
    { numRuns: 200 },
  );
});

test("the order in which a source lists its posts does not change the page", async () => {
  await fc.assert(
    fc.asyncProperty(
      ids.chain((list) =>
        fc.tuple(
          fc.constant(list),
          fc.shuffledSubarray(list, { minLength: list.length, maxLength: list.length }),
        ),
      ),
      async ([list, shuffled]) => {
        const tied = scorer("tied", (_query, { postIds }) => ({
          score: Float64Array.from(postIds, (id) => Number(id) % 3),
        }));
        const pages = await Promise.all(
          [list, shuffled].map((posts) =>
            run(pipeline({ sources: [source("main", posts)], heavyScorers: [tied] }), {
              sizes: { heavyLimit: 9, limit: 6 },
            }).then(pageOf),
          ),
        );
        expect(pages[0]).toEqual(pages[1]);
      },
    ),
    { numRuns: 100 },
  );
});
