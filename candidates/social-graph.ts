import type { Event, EventOf } from "../datasets/events.ts";

type Edges = Map<string, Set<string>>;
type Statement = Pick<EventOf<"follow">, "user_id" | "target_id" | "time_ms">;
const NONE: ReadonlySet<string> = new Set();

/** How late a statement about a pair may come and still find its place among the others. */
const LATENESS_MS = 48 * 3_600_000;

/**
 * Who follows (both ways), blocks and mutes whom, and muted keywords: what a viewer's request needs of the graph. Of
 * several statements about a pair the newest by its own time holds, of equal times the later in the log, so that the order
 * of arrival does not matter within 48 h.
 */
export class SocialGraph {
  readonly #following: Edges = new Map();
  /** The other way round; not in a snapshot, because it follows from `#following`. */
  readonly #followers: Edges = new Map();
  readonly #blocked: Edges = new Map();
  readonly #blockedBy: Edges = new Map();
  readonly #muted: Edges = new Map();
  readonly #keywords = new Map<string, readonly string[]>();
  readonly #languages = new Map<string, readonly string[]>();
  /** Kind and pair → time of the newest statement, of the last 48 h. */
  readonly #stated = new Map<string, number>();
  /** User → time of the deletion, of the last 48 h: what comes late about them is not taken. */
  readonly #deleted = new Map<string, number>();

  apply(event: Event): void {
    switch (event.type) {
      case "user_created":
        if (this.isGone(event.user_id, event.time_ms)) break;
        this.#languages.set(event.user_id, event.languages);
        break;
      case "follow":
        if (!this.#isNewest("follow", event)) break;
        link(this.#following, event.user_id, event.target_id);
        link(this.#followers, event.target_id, event.user_id);
        break;
      case "unfollow":
        if (!this.#isNewest("follow", event)) break;
        this.#following.get(event.user_id)?.delete(event.target_id);
        this.#followers.get(event.target_id)?.delete(event.user_id);
        break;
      case "block":
        if (!this.#isNewest("block", event)) break;
        link(this.#blocked, event.user_id, event.target_id);
        link(this.#blockedBy, event.target_id, event.user_id);
        break;
      case "unblock":
        if (!this.#isNewest("block", event)) break;
        this.#blocked.get(event.user_id)?.delete(event.target_id);
        this.#blockedBy.get(event.target_id)?.delete(event.user_id);
        break;
      case "mute":
        if (!this.#isNewest("mute", event)) break;
        link(this.#muted, event.user_id, event.target_id);
        break;
      case "unmute":
        if (!this.#isNewest("mute", event)) break;
        this.#muted.get(event.user_id)?.delete(event.target_id);
        break;
      case "muted_keywords_set":
        if (!this.#isNewest("keywords", { ...event, target_id: "" })) break;
        this.#keywords.set(event.user_id, event.keywords);
        break;
      case "user_deleted":
        this.#forget(event.user_id);
        this.#deleted.set(event.user_id, event.time_ms);
        break;
    }
  }

  /** Forgets when old statements were made; what they said stays. */
  trim(nowMs: number): void {
    for (const times of [this.#stated, this.#deleted])
      for (const [key, timeMs] of times) if (timeMs < nowMs - LATENESS_MS) times.delete(key);
  }

  /** Whether what was said of the user at that time is void by a deletion of the last 48 h. */
  isGone(userId: string, timeMs: number): boolean {
    return timeMs <= (this.#deleted.get(userId) ?? -1);
  }

  isKnown(userId: string): boolean {
    return this.#languages.has(userId) || this.#following.has(userId);
  }

  following(userId: string): ReadonlySet<string> {
    return this.#following.get(userId) ?? NONE;
  }

  followers(userId: string): ReadonlySet<string> {
    return this.#followers.get(userId) ?? NONE;
  }

  followerCount(userId: string): number {
    return this.followers(userId).size;
  }

  blocked(userId: string): ReadonlySet<string> {
    return this.#blocked.get(userId) ?? NONE;
  }

  blockedBy(userId: string): ReadonlySet<string> {
    return this.#blockedBy.get(userId) ?? NONE;
  }

  muted(userId: string): ReadonlySet<string> {
    return this.#muted.get(userId) ?? NONE;
  }

  mutedKeywords(userId: string): readonly string[] {
    return this.#keywords.get(userId) ?? [];
  }

  languages(userId: string): readonly string[] {
    return this.#languages.get(userId) ?? [];
  }

  /** Every user with a profile, in order of arrival. */
  users(): Iterable<string> {
    return this.#languages.keys();
  }

  snapshot(): unknown {
    return {
      following: this.#following,
      blocked: this.#blocked,
      blockedBy: this.#blockedBy,
      muted: this.#muted,
      keywords: this.#keywords,
      languages: this.#languages,
      stated: this.#stated,
      deleted: this.#deleted,
    };
  }

  restore(snapshot: unknown): void {
    const from = snapshot as Record<string, Map<string, never>>;
    const into = {
      following: this.#following,
      blocked: this.#blocked,
      blockedBy: this.#blockedBy,
      muted: this.#muted,
      keywords: this.#keywords,
      languages: this.#languages,
      stated: this.#stated,
      deleted: this.#deleted,
    };
    for (const [name, map] of Object.entries(into))
      for (const [key, value] of from[name] ?? []) map.set(key, value);
    for (const [userId, targets] of this.#following)
      for (const target of targets) link(this.#followers, target, userId);
  }

  /** Notes when a pair was spoken of; false when something newer was said of it before. */
  #isNewest(kind: string, { user_id, target_id, time_ms }: Statement): boolean {
    if (this.isGone(user_id, time_ms) || this.isGone(target_id, time_ms)) return false;
    const pair = `${kind}|${user_id}|${target_id}`;
    if (time_ms < (this.#stated.get(pair) ?? 0)) return false;
    this.#stated.set(pair, time_ms);
    return true;
  }

  #forget(userId: string): void {
    const all = [this.#following, this.#followers, this.#blocked, this.#blockedBy, this.#muted];
    for (const edges of all) {
      edges.delete(userId);
      for (const targets of edges.values()) targets.delete(userId);
    }
    this.#keywords.delete(userId);
    this.#languages.delete(userId);
    for (const pair of this.#stated.keys())
      if (pair.split("|", 3).includes(userId, 1)) this.#stated.delete(pair);
  }
}

function link(edges: Edges, from: string, to: string): void {
  const targets = edges.get(from);
  if (targets === undefined) edges.set(from, new Set([to]));
  else targets.add(to);
}
