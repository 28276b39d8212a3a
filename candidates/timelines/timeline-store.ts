import { compareIds } from "../../datasets/ids.ts";

/** A post's place in a timeline. */
export interface TimelineEntry {
  readonly postId: string;
  readonly timeMs: number;
}

/** One post for the timelines of many. */
export interface Push {
  readonly entry: TimelineEntry;
  readonly userIds: readonly string[];
}

/** Posts to be taken out of one timeline. */
export interface Removal {
  readonly userId: string;
  readonly postIds: readonly string[];
}

export interface BuiltTimeline {
  readonly entries: readonly TimelineEntry[];
  /** Entries of this time or older may be missing; −1 when none is. */
  readonly floorMs: number;
  readonly builtAtMs: number;
}

/** How far fan-out has come: all that the log up to `seq` asks for is in the store. `timeMs` is the newest event time up to there. */
export interface FanOutPosition {
  readonly seq: number;
  readonly timeMs: number;
}

/** Entries served of a timeline. Source: R. Krikorian (2012), "Timelines at Scale", QCon San Francisco: 800 entries a home timeline. */
export const SERVED_ENTRIES = 800;
/** A timeline is cut to SERVED_ENTRIES once it has more than this: a cut at each push would halve the rate of pushes. */
export const MOST_ENTRIES = 900;

/**
 * One timeline a user: ids of posts by time. What is pushed to a user without a timeline is kept, but only `rebuild` makes it one that
 * is read: else a timeline that expired would come back with a hole.
 */
export interface TimelineStore {
  /** Adds posts; one that is there already is not doubled. Resolves when they can be read. */
  push(pushes: readonly Push[]): Promise<void>;
  /**
   * Up to `limit` entries after `after`, newest first, ties by ascending id; of the SERVED_ENTRIES newest only. Entries of `floorMs` or
   * older are not complete and not given. Reading keeps an idle timeline from expiring.
   * @returns undefined when the user has no timeline
   */
  read(
    userId: string,
    range: { readonly after?: TimelineEntry | undefined; readonly limit: number },
  ): Promise<BuiltTimeline | undefined>;
  /**
   * Puts a timeline made from posts in place, all at once. Entries that others pushed meanwhile stay: they may be newer than what it was made from.
   */
  rebuild(userId: string, timeline: BuiltTimeline): Promise<void>;
  remove(removals: readonly Removal[]): Promise<void>;
  /** Drops whole timelines. */
  forget(userIds: readonly string[]): Promise<void>;
  /** Entries held, those that are not served too. */
  count(userId: string): Promise<number>;
  /** Memory of a timeline; 0 without one. */
  bytes(userId: string): Promise<number>;
  /** What `savePosition` kept under this name; undefined before the first. */
  position(name: string): Promise<FanOutPosition | undefined>;
  savePosition(name: string, position: FanOutPosition): Promise<void>;
}

/** The order of a timeline: newest first, ties by ascending id. */
export const byPlace = (a: TimelineEntry, b: TimelineEntry): number =>
  b.timeMs - a.timeMs || compareIds(a.postId, b.postId);
