import { beforeAll, describe, expect, test } from "vitest";
import { type DatasetManifest, readDataset, readManifest } from "../../datasets/dataset.ts";
import type { EventOf, LoggedEvent } from "../../datasets/events.ts";
import type { World } from "../../datasets/world/world.ts";
import { createWorldOf } from "../../datasets/world/world-of.ts";
import { FEATURE_NAMES } from "../../features/registry.ts";
import { Replay } from "../../features/replay.ts";
import { freshSpace } from "../space.fixture.ts";
import { type HeldOut, type HeldOutRange, type Moment, walkHeldOut } from "./held-out.ts";

const HOUR_MS = 3_600_000;

let space: string;
let manifest: DatasetManifest;
let world: World;
let range: HeldOutRange;
let events: LoggedEvent[];
let seen: EventOf<"impression">[];
let heldOut: HeldOut;
/** What the moment said before the third post that was shown. */
let third: { event: EventOf<"impression">; positions: number; known: boolean };

beforeAll(async () => {
  space = await freshSpace();
  manifest = readManifest(space);
  world = createWorldOf(manifest) as World;
  const fromMs = manifest.held_out_from_ms as number;
  range = { fromMs, toMs: fromMs + 8 * HOUR_MS };
  events = [];
  for await (const batch of readDataset(space, { heldOut: true })) events.push(...batch);
  seen = [];
  heldOut = await walkHeldOut(space, manifest, range, world, look, () => {});
});

function look(event: EventOf<"impression">, { viewers, broadcast }: Moment): undefined {
  seen.push(event);
  if (seen.length === 3)
    third = {
      event,
      positions: viewers.context(event.user_id, event.time_ms).positionInSession ?? 0,
      known: broadcast.posts.get(event.post_id) !== undefined,
    };
}

const inRange = (): LoggedEvent[] =>
  events.filter(
    ({ type, time_ms }) => type === "impression" && time_ms >= range.fromMs && time_ms < range.toMs,
  );

describe("a walk through held-out data", () => {
  test("gives one row per impression of the range, in the log's order, and shows each to the caller", () => {
    const shown = inRange() as EventOf<"impression">[];
    expect(shown.length).toBeGreaterThan(500);
    expect(seen.map(({ post_id }) => post_id)).toEqual(shown.map(({ post_id }) => post_id));
    expect(heldOut.rows.n).toBe(shown.length);
    expect([...heldOut.rows.postIds]).toEqual(shown.map(({ post_id }) => post_id));
    expect([...heldOut.rows.timeMs]).toEqual(shown.map(({ time_ms }) => time_ms));
  });

  test("a moment knows the post that is about to be shown, and of earlier ones how many the session held", () => {
    const { event, known, positions } = third;
    expect(known).toBe(true);
    const earlier = seen.filter(
      ({ user_id, time_ms }) => user_id === event.user_id && time_ms < event.time_ms,
    );
    expect(positions).toBeLessThanOrEqual(earlier.length);
  });

  test("the rows are those of a plain replay of the log", () => {
    const replay = new Replay({
      features: FEATURE_NAMES,
      ids: heldOut.rows.idNames as never,
      heads: manifest.heads,
      ...range,
    });
    for (const event of events) replay.push(event);
    replay.settle();
    const rows = replay.rows();
    expect(rows.features).toEqual(heldOut.rows.features);
    expect(rows.labels).toEqual(heldOut.rows.labels);
  });

  test("the truth explains the labels: its mean is each common head's rate within four standard errors", () => {
    const { rows, truth } = heldOut as Required<HeldOut> & { truth: Float32Array };
    const width = rows.headNames.length;
    expect(truth).toHaveLength(rows.n * width);
    for (const head of ["click", "favorite", "dwell"]) {
      const h = rows.headNames.indexOf(head);
      let [observed, expected, variance] = [0, 0, 0];
      for (let row = 0; row < rows.n; row++) {
        const label = rows.labels[row * width + h] as number;
        const p = truth[row * width + h] as number;
        if (Number.isNaN(label)) continue;
        expect(p).toBeGreaterThan(0);
        expect(p).toBeLessThan(1);
        observed += label;
        expected += p;
        variance += p * (1 - p);
      }
      expect(Math.abs(observed - expected), head).toBeLessThan(4 * Math.sqrt(variance));
    }
  });
});

test("without a world there is no truth, and an empty range has no rows", async () => {
  const empty = { fromMs: range.fromMs, toMs: range.fromMs };
  let looked = 0;
  const result = await walkHeldOut(
    space,
    manifest,
    empty,
    undefined,
    () => {
      looked++;
      return undefined;
    },
    () => {},
  );
  expect(result.truth).toBeUndefined();
  expect([result.rows.n, looked]).toEqual([0, 0]);
});
