import { beforeAll, expect, test } from "vitest";
import { calibrate } from "./calibrate.ts";
import { USER_CREATED } from "./event-queue.ts";
import { createPopulation, type Population } from "./population.ts";
import { postId, postOf } from "./posts.ts";
import { toRecord } from "./records.ts";
import {
  FOLLOW_AUTHOR,
  PHOTO_EXPAND,
  REPLY,
  REPLY_ENGAGED,
  RESPONSES,
  VIDEO_VIEW,
} from "./responses.ts";
import { DAY_MS, PRESETS, WORLD_START_MS } from "./settings.ts";
import { simulate } from "./simulation.ts";
import { createTruth, type Truth } from "./truth.ts";
import { ViewerHistory } from "./viewer-history.ts";

let population: Population;
let truth: Truth;
beforeAll(() => {
  population = createPopulation(PRESETS.tiny, 3);
  truth = createTruth(population);
  calibrate(population, truth);
});

test("calibration brings every head's mean probability over the log to its rate", () => {
  const sums = new Float64Array(RESPONSES.length);
  const counts = new Float64Array(RESPONSES.length);
  const observer = {
    onImpression: (_m: unknown, _u: number, _p: number, p: Float64Array): void => {
      for (let h = 0; h < RESPONSES.length; h++) {
        const isGated = h === PHOTO_EXPAND || h === VIDEO_VIEW || h === FOLLOW_AUTHOR;
        if (isGated && p[h] === 0) continue;
        sums[h]! += p[h]!;
        counts[h]! += h === REPLY_ENGAGED ? p[REPLY]! : 1;
      }
    },
  };
  for (const _ of simulate(population, truth, { observer }));
  for (const [h, { head, meanRate }] of RESPONSES.entries()) {
    const ratio = sums[h]! / counts[h]! / meanRate;
    expect.soft(Math.abs(ratio - 1), `${head}: ${ratio}`).toBeLessThan(0.15);
  }
});

test("the history kept from records is the meeting that the truth was asked with", () => {
  const history = new ViewerHistory();
  const authors = [...Array(population.users.authors).keys()];
  let checked = 0;
  let otherSession = 0;
  const observer = {
    onRequest(
      user: number,
      meeting: {
        timeMs: number;
        shownBefore: number;
        follows(author: number): boolean;
        exposures(author: number): number;
      },
    ): void {
      const context = history.context(population.users.ids[user]!, meeting.timeMs);
      for (const author of authors) {
        const id = population.users.ids[author]!;
        if (context.follows(id) !== meeting.follows(author)) throw new Error(`follows ${author}`);
        if (context.authorExposures(id) !== meeting.exposures(author))
          throw new Error(`exposures ${author}`);
      }
      if (context.positionInSession !== meeting.shownBefore) otherSession++;
      checked++;
    },
  };
  for (const at of simulate(population, truth, { observer })) {
    history.observe(toRecord(population, at));
  }
  expect(checked).toBeGreaterThan(300);
  // Two visits within half an hour look like one in the log.
  expect(otherSession / checked).toBeLessThan(0.05);
});

test("the observer and a thinner log leave the world as it is", () => {
  const thin = [...count(simulate(population, truth, { everyNth: 4 }))];
  const full = [...count(simulate(population, truth))];
  expect(thin.length).toBeLessThan(full.length);
  expect([...count(simulate(population, truth))]).toEqual(full);
});

function* count(happenings: Iterable<{ kind: number; timeMs: number; object: number }>) {
  for (const { kind, timeMs, object } of happenings) yield `${kind} ${timeMs} ${object}`;
}

test("a post is found by its id, and no other number is a post", () => {
  const { posts } = population;
  for (let p = 0; p < posts.count; p += 13) expect(postOf(posts, postId(posts, p))).toBe(p);
  const id = BigInt(postId(posts, 5));
  for (const wrong of [id + 1n, id - 1n, id + (1n << 22n), 5n, 2n ** 64n - 1n])
    expect(postOf(posts, wrong.toString())).toBe(-1);
  expect(postOf(posts, "x")).toBe(-1);
  expect(postOf(posts, "")).toBe(-1);
});

test("newcomers join within the log and act only afterwards", () => {
  const { users } = population;
  const joined = new Set<number>();
  let newcomers = 0;
  let early = 0;
  for (const at of simulate(population, truth)) {
    if (at.kind === USER_CREATED) joined.add(at.user);
    if (!joined.has(at.user)) early++;
  }
  expect(early).toBe(0);
  for (let u = 0; u < users.count; u++) if (users.createdMs[u]! >= WORLD_START_MS) newcomers++;
  expect(newcomers).toBeGreaterThan(20);
  expect(Math.max(...users.createdMs)).toBeLessThan(WORLD_START_MS + 3 * DAY_MS);
});
