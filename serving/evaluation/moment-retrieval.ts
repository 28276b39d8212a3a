import { Nearest } from "../../candidates/vector-index/nearest.ts";
import type { Neighbours } from "../../candidates/vector-index/vector-index.ts";
import { POST_TOWER, USER_TOWER } from "../../features/tower-inputs.ts";
import { TowerReader } from "../../features/tower-reader.ts";
import { TowerRows } from "../../features/tower-rows.ts";
import type { TowerSession } from "../inference/tower-session.ts";
import type { Retrieval } from "../sources/two-tower.ts";
import { retrievable } from "../state/post-vectors.ts";
import type { Moment } from "./held-out.ts";

const HOUR_MS = 3_600_000;
/** All vectors are made anew this often. */
const EVERY_MS = 2 * HOUR_MS;

/** Both towers, as they are run. */
export interface TowerSessions {
  readonly user: TowerSession;
  readonly post: TowerSession;
}

interface Embedded {
  readonly postIds: readonly string[];
  /** [posts, dimension]. */
  readonly vectors: Float32Array;
}

/**
 * What the two-tower source finds at moments of a walk, which must not go back: the exact nearest of all posts of the window.
 * Vectors are at most two hours old, those of posts written since are made when they are first looked for; a server makes a
 * vector anew as its post ages, at twice a young post's age, and searches an index that misses one in some thousand.
 */
export class MomentRetrieval {
  readonly #towers: TowerSessions;
  readonly #windowMs: number;
  readonly #reader = new TowerReader();
  readonly #known = new Set<string>();
  #embedded: Embedded[] = [];
  #nextMs = Number.NEGATIVE_INFINITY;

  constructor(towers: TowerSessions, windowHours: number) {
    this.#towers = towers;
    this.#windowMs = windowHours * HOUR_MS;
  }

  /** As the source asks a server for it. */
  at(moment: Moment): Retrieval["vectors"] {
    return {
      enabled: true,
      nearest: (userId, nowMs, k) => this.#nearest(moment, userId, nowMs, k),
    };
  }

  async #nearest(moment: Moment, userId: string, nowMs: number, k: number): Promise<Neighbours> {
    await this.#embed(moment, nowMs);
    const users = new TowerRows(USER_TOWER, 1);
    this.#reader.user(moment.replay.state, userId, nowMs, users);
    const query = await this.#towers.user.run(users);
    const nearest = new Nearest(k);
    const ids: string[] = [];
    for (const { postIds, vectors } of this.#embedded)
      for (let i = 0; i < postIds.length; i++) {
        let dot = 0;
        for (let j = 0; j < query.length; j++)
          dot += (vectors[i * query.length + j] as number) * (query[j] as number);
        nearest.push(ids.length, dot);
        ids.push(postIds[i] as string);
      }
    const { items, scores } = nearest.sorted();
    return { ids: Array.from(items, (i) => ids[i] as string), scores };
  }

  async #embed({ broadcast, replay }: Moment, nowMs: number): Promise<void> {
    if (nowMs >= this.#nextMs) {
      this.#nextMs = nowMs + EVERY_MS;
      this.#known.clear();
      this.#embedded = [];
    }
    const rows = new TowerRows(POST_TOWER);
    const postIds: string[] = [];
    this.#reader.begin(replay.state, nowMs);
    for (const post of broadcast.posts.values()) {
      const { postId, authorId, createdAtMs } = post;
      if (this.#known.has(postId) || createdAtMs < nowMs - this.#windowMs) continue;
      if (!retrievable(post)) continue;
      this.#known.add(postId);
      postIds.push(postId);
      this.#reader.post(replay.state, postId, authorId, rows);
    }
    if (postIds.length > 0)
      this.#embedded.push({ postIds, vectors: await this.#towers.post.run(rows) });
  }
}
