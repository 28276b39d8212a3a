import { hash32, random } from "../random.ts";
import {
  BLOCK,
  DAY,
  EventQueue,
  FOLLOW,
  type Happening,
  MUTE,
  POST_CREATED,
  POST_DELETED,
  REQUEST,
  UNFOLLOW,
  USER_CREATED,
} from "./event-queue.ts";
import { live, type Witness } from "./live.ts";
import { createPolicies, drawPolicy, type Page } from "./policies.ts";
import type { Population } from "./population.ts";
import { DAY_MS, WORLD_START_MS } from "./settings.ts";
import type { Meeting, Truth } from "./truth.ts";
import { VisibleState } from "./visible-state.ts";
import { planVisits } from "./visits.ts";

/** How likely a visit ends in dropping one followed author for no reason that a post gave. */
const IDLE_UNFOLLOW = 0.004;
const BETWEEN_PAGES_MS = 1_500;

/** Looks on while the world lives. Nothing it does may change the world. */
export interface Observer {
  /** Before a page is filled. */
  onRequest?(user: number, meeting: Meeting, state: VisibleState): void;
  /** Each impression with its true response probabilities. */
  onImpression?: (
    meeting: Meeting,
    user: number,
    post: number,
    probabilities: Float64Array,
  ) => void;
}

export interface SimulationOptions {
  observer?: Observer;
  /** Simulates every n-th visit only, by lot: a cheap pilot. Default 1: all. */
  everyNth?: number;
}

/**
 * Lives through the log from the oldest account to the last day. Yields every happening that the log records, in time
 * order; the yielded object is reused. Outcomes reach the logging policies when they become known, not before.
 */
export function* simulate(
  population: Population,
  truth: Truth,
  options: SimulationOptions = {},
): Generator<Happening, void> {
  const { settings, seed, users, posts } = population;
  const everyNth = options.everyNth ?? 1;
  const endMs = WORLD_START_MS + settings.days * DAY_MS;
  const state = new VisibleState(population);
  const rank = createPolicies(population, state);
  const queue = new EventQueue();
  const busyUntil = new Float64Array(users.count);
  let requests = 0;
  let nextPost = 0;

  const untilEnd = queueUntil(queue, endMs);

  const beginDay = (day: number): void => {
    const midnight = WORLD_START_MS + day * DAY_MS;
    for (; nextPost < posts.count && posts.createdMs[nextPost]! < midnight + DAY_MS; nextPost++) {
      const author = posts.author[nextPost]!;
      queue.push(POST_CREATED, posts.createdMs[nextPost]!, author, nextPost);
      const deleted = posts.deletedMs[nextPost]!;
      if (deleted < endMs) queue.push(POST_DELETED, deleted, author, nextPost);
    }
    for (let user = 0; user < users.count; user++) {
      planVisits(settings, seed, users, user, day, (startMs, pages) => {
        if (startMs >= endMs || hash32(seed, "pilot", user, startMs) % everyNth !== 0) return;
        queue.push(REQUEST, startMs, user, 0, pages);
      });
    }
    if (day + 1 < settings.days) queue.push(DAY, midnight + DAY_MS, 0, day + 1);
  };

  const answer = (at: Happening): void => {
    const { user, timeMs, request: pagesLeft, detail: shownBefore } = at;
    const isFirst = shownBefore === 0;
    if (isFirst && timeMs < busyUntil[user]!) return;
    const source = random(seed, "request", user, timeMs);
    const meeting: Meeting = {
      timeMs,
      shownBefore,
      follows: (author) => state.follows(user, author),
      exposures: (author) => state.exposures(user, author),
    };
    options.observer?.onRequest?.(user, meeting, state);
    const policy = drawPolicy(source);
    const page: Page = rank(policy, user, timeMs, source);
    if (page.size === 0) return;
    const onImpression = options.observer?.onImpression;
    const witness: Witness | undefined =
      onImpression && ((who, post, p) => onImpression(meeting, who, post, p));
    const { endMs: left, seen } = live(
      population,
      truth,
      untilEnd,
      user,
      page,
      meeting,
      requests++,
      policy,
      source,
      witness,
    );
    if (isFirst && source.next() < IDLE_UNFOLLOW) unfollowSomebody(user, left, source.next());
    busyUntil[user] = left + BETWEEN_PAGES_MS;
    if (pagesLeft > 1 && left + BETWEEN_PAGES_MS < endMs) {
      const shown = shownBefore + Math.max(1, seen);
      queue.push(REQUEST, left + BETWEEN_PAGES_MS, user, 0, pagesLeft - 1, shown);
    }
  };

  const unfollowSomebody = (user: number, timeMs: number, lot: number): void => {
    const list = state.followedAuthors[user]!;
    const author = list[Math.floor(lot * list.length)];
    if (author !== undefined) untilEnd.push(UNFOLLOW, timeMs, user, author);
  };

  pushHistory(population, queue, endMs);
  queue.push(DAY, WORLD_START_MS, 0, 0);
  while (queue.pop()) {
    const at = queue.current;
    if (at.kind === DAY) beginDay(at.object);
    else if (at.kind === REQUEST) answer(at);
    else {
      if (isStale(at, state)) continue;
      state.apply(at);
      yield at;
    }
  }
}

/** Relations that already hold (followed twice on one page) are not logged again. */
function isStale(at: Happening, state: VisibleState): boolean {
  if (at.kind === FOLLOW && at.timeMs >= WORLD_START_MS) return state.follows(at.user, at.object);
  if (at.kind === UNFOLLOW) return !state.follows(at.user, at.object);
  if (at.kind === BLOCK || at.kind === MUTE) return state.isHidden(at.user, at.object);
  return false;
}

function pushHistory({ users, graph }: Population, queue: EventQueue, endMs: number): void {
  for (let user = 0; user < users.count; user++) {
    queue.push(USER_CREATED, users.createdMs[user]!, user, user);
    for (let e = graph.offsets[user]!; e < graph.offsets[user + 1]!; e++) {
      const timeMs = graph.timesMs[e]!;
      if (timeMs < endMs) queue.push(FOLLOW, timeMs, user, graph.targets[e]!);
    }
  }
}

/** A queue that lets what becomes known after the log's end go unlogged. */
function queueUntil(queue: EventQueue, endMs: number): Pick<EventQueue, "push"> {
  return {
    push: (kind, timeMs, ...rest) => {
      if (timeMs < endMs) queue.push(kind, timeMs, ...rest);
    },
  };
}
