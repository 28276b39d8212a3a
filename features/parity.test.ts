import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { open, type RootDatabase } from "lmdb";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Event } from "../datasets/events.ts";
import { type Random, random, shuffle } from "../datasets/random.ts";
import { applyEvent } from "./engine.ts";
import type { StateView } from "./entities.ts";
import { LmdbFeatureStore } from "./lmdb-store.ts";
import { FeatureReader } from "./reader.ts";
import { FEATURE_NAMES, ID_COLUMNS } from "./registry.ts";
import { Replay } from "./replay.ts";
import { smallWorld } from "./small-world.fixture.ts";

let dir: string;
let root: RootDatabase;
const openRoot = () => open({ path: dir, maxDbs: 32 });
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "roost-parity-"));
  root = openRoot();
});
afterEach(async () => {
  await root.close();
  await rm(dir, { recursive: true, force: true });
});

const WIDTH = FEATURE_NAMES.length;
/** Sessions are runs of time, not sums: a late impression can only be placed in the running one. */
const IN_ORDER_ONLY = new Set([
  "user.session_impressions",
  "user.session_minutes",
  "user.sessions",
]);

interface Row {
  readonly features: Float32Array;
  readonly ids: Uint32Array;
}

/** The row that a request at the impression's time gets, from whatever state is handed in. */
function served(view: StateView, event: Event & { type: "impression" }): Row {
  const reader = new FeatureReader(FEATURE_NAMES, ID_COLUMNS);
  const row = { features: new Float32Array(WIDTH), ids: new Uint32Array(ID_COLUMNS.length) };
  const surface = event.surface === undefined ? {} : { surface: event.surface };
  reader.begin(view, { userId: event.user_id, nowMs: event.time_ms, ...surface });
  reader.row(event.post_id, event.author_id, row.features, row.ids, 0);
  return row;
}

/** Applies the log in batches of random sizes, closing and opening the store now and then; before each batch `look` may read. */
async function consume(
  events: readonly Event[],
  rnd: Random,
  arrange: (batch: Event[]) => Event[],
  look: (store: LmdbFeatureStore, next: number) => void,
): Promise<LmdbFeatureStore> {
  // A small cache: much is read back from LMDB.
  let store = await LmdbFeatureStore.open(root, 64);
  let restarts = 0;
  for (let at = 0; at < events.length; ) {
    look(store, at);
    const batch = arrange(events.slice(at, at + 1 + rnd.below(50)));
    at += batch.length;
    await store.transaction(at, (state) => {
      for (const event of batch) applyEvent(state, event);
    });
    if (rnd.next() > 0.1) continue;
    await store.close();
    await root.close();
    root = openRoot();
    store = await LmdbFeatureStore.open(root, 64);
    expect(store.position).toBe(at);
    restarts++;
  }
  expect(restarts).toBeGreaterThan(2);
  return store;
}

test("a request sees what replay gives for its impression, to the bit, through the store and its restarts", async () => {
  const rnd = random(3, "parity");
  const events = smallWorld(21, { impressions: 500, deletions: true });
  const replay = new Replay({ features: FEATURE_NAMES, ids: ID_COLUMNS, heads: [] });
  for (const event of events) replay.push(event);
  const rows = replay.rows();
  const rowOf = new Map(events.filter((e) => e.type === "impression").map((e, i) => [e, i]));
  let compared = 0;
  const store = await consume(
    events,
    rnd,
    (batch) => batch,
    (store, next) => {
      const event = events[next];
      const earlier = events[next - 1];
      // The batch boundary must fall between milliseconds: what is of the same one is not known yet in replay.
      if (event?.type !== "impression" || earlier?.time_ms === event.time_ms) return;
      const i = rowOf.get(event) as number;
      const row = served(store, event);
      expect(row.features).toEqual(rows.features.subarray(i * WIDTH, (i + 1) * WIDTH));
      expect(row.ids).toEqual(
        rows.ids.subarray(i * ID_COLUMNS.length, (i + 1) * ID_COLUMNS.length),
      );
      compared++;
    },
  );
  expect(compared).toBeGreaterThan(15);
  replay.settle();
  for (const [entity, key, vector] of replay.state.entries())
    expect(store.get(entity, key), `${entity} ${key}`).toEqual(vector);
});

test("with signals out of order within each batch the state agrees to 1e-9", async () => {
  const rnd = random(4, "parity");
  const events = smallWorld(22, { impressions: 800 });
  const replay = new Replay({ features: [], ids: [], heads: [] });
  const probes = events.filter((e) => e.type === "impression").slice(-40);
  const last = events.at(-1)?.time_ms as number;
  const requests = probes.map((e) => ({ ...e, time_ms: last + 1000 }));
  for (const event of events) replay.push(event);
  replay.settle();
  const store = await consume(
    events,
    rnd,
    (batch) => shuffleSignals(batch, rnd),
    () => {},
  );
  let largest = 0;
  let vectors = 0;
  for (const [entity, key, expected] of replay.state.entries()) {
    const actual = store.get(entity, key) as Float64Array;
    if (entity === "user") continue;
    vectors++;
    for (let s = 0; s < expected.length; s++) {
      const [a, b] = [actual[s] as number, expected[s] as number];
      if (Number.isNaN(b)) expect(a).toBeNaN();
      // Sums of terms of both signs: relative to one event where they cancel.
      else largest = Math.max(largest, Math.abs(a - b) / Math.max(1, Math.abs(b)));
    }
  }
  expect(vectors).toBeGreaterThan(200);
  expect(largest).toBeLessThan(1e-9);
  expect(largest).toBeGreaterThan(0);
  for (const request of requests) {
    const online = served(store, request);
    const offline = served(replay.state, request);
    expect(online.ids).toEqual(offline.ids);
    for (const [i, name] of FEATURE_NAMES.entries()) {
      if (IN_ORDER_ONLY.has(name)) continue;
      const [a, b] = [online.features[i] as number, offline.features[i] as number];
      if (Number.isNaN(b)) expect(a, name).toBeNaN();
      // Rows are float32: equal up to its last bit.
      else expect(Math.abs(a - b), name).toBeLessThanOrEqual(2e-7 * Math.max(1, Math.abs(b)));
    }
  }
});

/** Shuffles the runs of impressions and engagements; what makes posts and profiles keeps its place. */
function shuffleSignals(batch: Event[], rnd: Random): Event[] {
  const out: Event[] = [];
  let run: Event[] = [];
  for (const event of batch) {
    if (event.type === "impression" || event.type === "engagement") run.push(event);
    else {
      out.push(...shuffle(run, rnd), event);
      run = [];
    }
  }
  return [...out, ...shuffle(run, rnd)];
}
