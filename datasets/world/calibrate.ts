import type { Population } from "./population.ts";
import {
  FOLLOW_AUTHOR,
  PHOTO_EXPAND,
  REPLY,
  REPLY_ENGAGED,
  RESPONSES,
  VIDEO_VIEW,
} from "./responses.ts";
import { simulate } from "./simulation.ts";
import type { Truth } from "./truth.ts";

const HEADS = RESPONSES.length;
/** The first pilot lives through every tenth visit: intercepts of the right size. */
const FIRST_PILOT = 10;
/**
 * The second is as large as this allows, because what is shown depends on how much was engaged with: over a tenth of
 * the visits favorites come out 25 % rarer than over all, over a quarter 8 %.
 */
const SECOND_PILOT_IMPRESSIONS = 450_000;
/** Impressions of a pilot that the fit uses. */
const SAMPLE_IMPRESSIONS = 100_000;
const STEPS = 12;
/** Over-relaxation of the step in log odds. Source: the world's prototype. */
const STEP_SIZE = 1.15;

/**
 * Sets the truth's intercepts so that the mean probability of every response over logged impressions where it can
 * happen is its `meanRate`: b ← b + 1.15 · ln(target / measured), on a pilot log of a share of the people.
 */
export function calibrate(population: Population, truth: Truth): void {
  const first = samplePilot(population, truth, FIRST_PILOT, 1);
  solve(truth.intercepts, first);
  const impressions = (FIRST_PILOT * first.logits.length) / HEADS;
  const everyNth = Math.max(1, Math.ceil(impressions / SECOND_PILOT_IMPRESSIONS));
  const keepEvery = Math.max(1, Math.floor(impressions / everyNth / SAMPLE_IMPRESSIONS));
  solve(truth.intercepts, samplePilot(population, truth, everyNth, keepEvery));
}

/** Impressions of a pilot: logits without intercepts and freshness, row-major [n, responses]; closed gates have freshness 0. */
interface Sample {
  readonly logits: number[];
  readonly freshness: number[];
}

function samplePilot(
  population: Population,
  truth: Truth,
  everyNth: number,
  keepEvery: number,
): Sample {
  let impressions = 0;
  const sample: Sample = { logits: [], freshness: [] };
  const observer = {
    onImpression: (_m: unknown, _u: number, _p: number, probabilities: Float64Array): void => {
      if (impressions++ % keepEvery !== 0) return;
      for (let h = 0; h < HEADS; h++) {
        sample.logits.push(truth.lastLogits[h]!);
        sample.freshness.push(isOpen(h, probabilities) ? truth.lastFreshness[h]! : 0);
      }
    },
  };
  const log = simulate(population, truth, { observer, everyNth });
  while (!log.next().done);
  return sample;
}

function isOpen(head: number, probabilities: Float64Array): boolean {
  const isGated = head === PHOTO_EXPAND || head === VIDEO_VIEW || head === FOLLOW_AUTHOR;
  return !isGated || probabilities[head]! > 0;
}

function solve(intercepts: Float64Array, sample: Sample): void {
  for (let step = 0; step < STEPS; step++) improve(intercepts, sample);
}

/** Replies come before their answers in RESPONSES, so an answer's rate uses the replies' new intercept. */
function improve(intercepts: Float64Array, { logits, freshness }: Sample): void {
  const probability = (row: number, h: number): number =>
    freshness[row + h]! / (1 + Math.exp(-intercepts[h]! - logits[row + h]!));
  for (let h = 0; h < HEADS; h++) {
    let sum = 0;
    let weight = 0;
    for (let row = 0; row < logits.length; row += HEADS) {
      if (freshness[row + h] === 0) continue;
      const share = h === REPLY_ENGAGED ? probability(row, REPLY) : 1;
      sum += share * probability(row, h);
      weight += share;
    }
    if (sum > 0) intercepts[h]! += STEP_SIZE * Math.log((RESPONSES[h]!.meanRate * weight) / sum);
  }
}
