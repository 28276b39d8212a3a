import { RoostError } from "../../errors.ts";
import type { Event } from "../events.ts";
import { WORLD_HEADS } from "../heads.ts";
import type { Random } from "../random.ts";
import { calibrate } from "./calibrate.ts";
import { EventQueue } from "./event-queue.ts";
import { examination } from "./examination.ts";
import { follows } from "./graph.ts";
import { live } from "./live.ts";
import { createPopulation, type Population } from "./population.ts";
import { postOf } from "./posts.ts";
import { toRecord } from "./records.ts";
import { RESPONSES } from "./responses.ts";
import {
  DAY_MS,
  type PresetName,
  resolveSettings,
  WORLD_START_MS,
  type WorldSettings,
} from "./settings.ts";
import { type Observer, simulate } from "./simulation.ts";
import { createTruth, type Meeting, type Truth, toWorldHeads } from "./truth.ts";

const HEADS = WORLD_HEADS.length;

/** The moment at which somebody meets posts, as far as the log tells it (`ViewerHistory` keeps it from events). */
export interface ViewContext {
  /** Epoch ms. */
  readonly timeMs: number;
  /** Posts seen earlier in the same session. Default 0: a session's first page. */
  readonly positionInSession?: number;
  /** How often this person saw the author before. Default: never. */
  readonly authorExposures?: (authorId: string) => number;
  /** Whether this person follows the author now. Default: as in the graph that the log begins with. */
  readonly follows?: (authorId: string) => boolean;
}

/** How a simulated page is logged. */
export interface ResponseContext extends ViewContext {
  readonly requestId: string;
  readonly policy: string;
  /** Slot propensities, aligned with the slate; absent for a deterministic page. */
  readonly propensities?: readonly number[];
}

/** Weight per head name; heads that the world does not have are ignored. */
export type Weights = Readonly<Record<string, number>>;

/**
 * A simulated network with known truth. The log (`events`) is all that models may see; the other methods judge them.
 * Every method throws BAD_ARGUMENT for a user or post that the world does not have.
 */
export interface World {
  readonly settings: WorldSettings;
  readonly seed: number;
  readonly userIds: readonly string[];
  readonly startMs: number;
  readonly endMs: number;
  /** The last day begins here: nothing from then on is for training. */
  readonly heldOutFromMs: number;
  /** The complete log in time order. Each call starts anew and gives the same records. */
  events(): Generator<Event, void>;
  /** The same log in arrays of `size` (the last may be shorter). */
  eventChunks(size: number): Generator<Event[], void>;
  /** Chances of every head of WORLD_HEADS, given that the post is looked at; expected seconds for `dwell_seconds`. */
  trueProbability(userId: string, postId: string, context: ViewContext): Float64Array;
  /** The same for many posts: row-major [posts, heads]. */
  trueProbabilities(userId: string, postIds: readonly string[], context: ViewContext): Float64Array;
  /** `trueProbability` with the post's hidden quality, controversy and toxicity at their expectation given what is visible. */
  visibleProbability(userId: string, postId: string, context: ViewContext): Float64Array;
  visibleProbabilities(
    userId: string,
    postIds: readonly string[],
    context: ViewContext,
  ): Float64Array;
  /** True value of each post when looked at: Σ_h w_h · p_h, [posts]. */
  trueValues(
    userId: string,
    postIds: readonly string[],
    weights: Weights,
    context: ViewContext,
  ): Float64Array;
  /** The candidates by descending true value; ties keep their order. */
  oracleRanking(
    userId: string,
    postIds: readonly string[],
    weights: Weights,
    context: ViewContext,
  ): string[];
  /** V(slate) = Σ examination(position) · Σ_h w_h · p_h. */
  slateValue(
    userId: string,
    slate: readonly string[],
    weights: Weights,
    context: ViewContext,
  ): number;
  /**
   * Lets this person scroll through a page: impressions of what was looked at, engagements and relations at their own
   * later times, sorted by time. The expected weighted sum of the engagements is `slateValue`.
   */
  respond(
    userId: string,
    slate: readonly string[],
    context: ResponseContext,
    random: Random,
  ): Event[];
}

/**
 * Builds a world: people, graph, posts, and intercepts calibrated on a pilot. Same arguments, same world, byte for byte.
 * @throws BAD_ARGUMENT for an unknown preset or settings out of range.
 */
export function createWorld(preset: PresetName | WorldSettings, seed: number): World {
  return openWorld(preset, seed).world;
}

/** A world with its latents, for the files of this folder. */
export interface OpenWorld {
  readonly world: World;
  readonly population: Population;
  readonly truth: Truth;
  /** Lives through the log for an observer. */
  observe(observer: Observer): void;
}

export function openWorld(preset: PresetName | WorldSettings, seed: number): OpenWorld {
  if (!Number.isSafeInteger(seed)) {
    throw new RoostError("BAD_ARGUMENT", `seed must be an integer, not ${seed}`);
  }
  const population = createPopulation(resolveSettings(preset), seed);
  const truth = createTruth(population);
  calibrate(population, truth);
  const observe = (observer: Observer): void => {
    for (const _ of simulate(population, truth, { observer }));
  };
  return { world: face(population, truth), population, truth, observe };
}

function face(population: Population, truth: Truth): World {
  const { settings, seed, users, posts, graph } = population;
  const endMs = WORLD_START_MS + settings.days * DAY_MS;

  const userIndex = (id: string): number => {
    const index = users.indexOf.get(id);
    if (index === undefined) throw new RoostError("BAD_ARGUMENT", `the world has no user ${id}`);
    return index;
  };
  const postIndex = (id: string): number => {
    const index = postOf(posts, id);
    if (index < 0) throw new RoostError("BAD_ARGUMENT", `the world has no post ${id}`);
    return index;
  };
  const toMeeting = (user: number, context: ViewContext): Meeting => ({
    timeMs: context.timeMs,
    shownBefore: context.positionInSession ?? 0,
    follows: (author) =>
      context.follows ? context.follows(users.ids[author]!) : follows(graph, user, author),
    exposures: (author) => context.authorExposures?.(users.ids[author]!) ?? 0,
  });

  const probabilities = (
    userId: string,
    postIds: readonly string[],
    context: ViewContext,
    visibleOnly: boolean,
  ): Float64Array => {
    const user = userIndex(userId);
    truth.meet(user, toMeeting(user, context));
    const responses = new Float64Array(RESPONSES.length);
    const result = new Float64Array(postIds.length * HEADS); // [posts, heads]
    for (let i = 0; i < postIds.length; i++) {
      truth.probabilities(postIndex(postIds[i]!), responses, 0, visibleOnly);
      toWorldHeads(responses, 0, result, i * HEADS);
    }
    return result;
  };

  const trueValues: World["trueValues"] = (userId, postIds, weights, context) => {
    const p = probabilities(userId, postIds, context, false);
    const w = WORLD_HEADS.map((head) => weights[head] ?? 0);
    const values = new Float64Array(postIds.length);
    for (let i = 0; i < values.length; i++) {
      let value = 0;
      for (let h = 0; h < HEADS; h++) value += w[h]! * p[i * HEADS + h]!;
      values[i] = value;
    }
    return values;
  };

  function* events(): Generator<Event, void> {
    for (const happening of simulate(population, truth)) yield toRecord(population, happening);
  }

  return {
    settings,
    seed,
    userIds: users.ids,
    startMs: WORLD_START_MS,
    endMs,
    heldOutFromMs: endMs - DAY_MS,
    events,
    *eventChunks(size) {
      let chunk: Event[] = [];
      for (const event of events()) {
        chunk.push(event);
        if (chunk.length < size) continue;
        yield chunk;
        chunk = [];
      }
      if (chunk.length > 0) yield chunk;
    },
    trueProbability: (userId, id, context) => probabilities(userId, [id], context, false),
    trueProbabilities: (userId, ids, context) => probabilities(userId, ids, context, false),
    visibleProbability: (userId, id, context) => probabilities(userId, [id], context, true),
    visibleProbabilities: (userId, ids, context) => probabilities(userId, ids, context, true),
    trueValues,
    oracleRanking(userId, postIds, weights, context) {
      const values = trueValues(userId, postIds, weights, context);
      const order = Array.from(values, (_, i) => i);
      order.sort((a, b) => values[b]! - values[a]! || a - b);
      return order.map((i) => postIds[i]!);
    },
    slateValue(userId, slate, weights, context) {
      const values = trueValues(userId, slate, weights, context);
      return values.reduce((sum, value, slot) => sum + examination(slot) * value, 0);
    },
    respond(userId, slate, context, random) {
      const user = userIndex(userId);
      const queue = new EventQueue();
      const page = {
        size: slate.length,
        posts: slate.map(postIndex),
        ...(context.propensities ? { propensities: context.propensities } : {}),
      };
      live(population, truth, queue, user, page, toMeeting(user, context), 0, 0, random);
      const answer: Event[] = [];
      while (queue.pop()) {
        answer.push(toRecord(population, queue.current, () => context.requestId, context.policy));
      }
      return answer;
    },
  };
}
