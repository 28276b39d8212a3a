import type { Event } from "../datasets/events.ts";

type Edges = Map<string, Set<string>>;
const NONE: ReadonlySet<string> = new Set();

/** Who follows (both ways), blocks and mutes whom, and muted keywords: what a viewer's request needs of the graph. */
export class SocialGraph {
  readonly #following: Edges = new Map();
  /** The other way round; not in a snapshot, because it follows from `#following`. */
  readonly #followers: Edges = new Map();
  readonly #blocked: Edges = new Map();
  readonly #blockedBy: Edges = new Map();
  readonly #muted: Edges = new Map();
  readonly #keywords = new Map<string, readonly string[]>();
  readonly #languages = new Map<string, readonly string[]>();

  apply(event: Event): void {
    switch (event.type) {
      case "user_created":
        this.#languages.set(event.user_id, event.languages);
        break;
      case "follow":
        link(this.#following, event.user_id, event.target_id);
        link(this.#followers, event.target_id, event.user_id);
        break;
      case "unfollow":
        this.#following.get(event.user_id)?.delete(event.target_id);
        this.#followers.get(event.target_id)?.delete(event.user_id);
        break;
      case "block":
        link(this.#blocked, event.user_id, event.target_id);
        link(this.#blockedBy, event.target_id, event.user_id);
        break;
      case "unblock":
        this.#blocked.get(event.user_id)?.delete(event.target_id);
        this.#blockedBy.get(event.target_id)?.delete(event.user_id);
        break;
      case "mute":
        link(this.#muted, event.user_id, event.target_id);
        break;
      case "unmute":
        this.#muted.get(event.user_id)?.delete(event.target_id);
        break;
      case "muted_keywords_set":
        this.#keywords.set(event.user_id, event.keywords);
        break;
      case "user_deleted":
        this.#forget(event.user_id);
        break;
    }
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
    };
    for (const [name, map] of Object.entries(into))
      for (const [key, value] of from[name] ?? []) map.set(key, value);
    for (const [userId, targets] of this.#following)
      for (const target of targets) link(this.#followers, target, userId);
  }

  #forget(userId: string): void {
    const all = [this.#following, this.#followers, this.#blocked, this.#blockedBy, this.#muted];
    for (const edges of all) {
      edges.delete(userId);
      for (const targets of edges.values()) targets.delete(userId);
    }
    this.#keywords.delete(userId);
    this.#languages.delete(userId);
  }
}

/** Returns whether the edge is new. */
function link(edges: Edges, from: string, to: string): boolean {
  const targets = edges.get(from);
  if (targets === undefined) edges.set(from, new Set([to]));
  else if (targets.has(to)) return false;
  else targets.add(to);
  return true;
}
