import { Nearest } from "../../candidates/vector-index/nearest.ts";
import type { Neighbours } from "../../candidates/vector-index/vector-index.ts";
import { POST_TOWER, USER_TOWER } from "../../features/tower-inputs.ts";
import { TowerReader } from "../../features/tower-reader.ts";
import { TowerRows } from "../../features/tower-rows.ts";
import type { TowerSession } from "../inference/tower-session.ts";
import type { Retrieval } from "../sources/two-tower.ts";
import { isDue, retrievable, WINDOW_MS } from "../state/post-vectors.ts";
import type { Moment } from "./held-out.ts";

/** Both towers, as they are run. */
export interface TowerSessions {
  readonly user: TowerSession;
  readonly post: TowerSession;
}

interface Made {
  readonly vector: Float32Array;
  readonly atMs: number;
}

/**
 * What the two-tower source finds at moments of a walk: the exact nearest of the posts that a server's index would hold then.
 * A post's vector is made when it is first looked for, and anew when a server would make it anew, at the next look.
 */
export class MomentRetrieval {
  readonly #towers: TowerSessions;
  readonly #reader = new TowerReader();
  readonly #made = new Map<string, Made>();

  constructor(towers: TowerSessions) {
    this.#towers = towers;
  }

  /** As the source asks a server for it. */
  at(moment: Moment): Retrieval["vectors"] {
    return {
      enabled: true,
      nearest: (userId, nowMs, k) => this.#nearest(moment, userId, nowMs, k),
    };
  }

  async #nearest(moment: Moment, userId: string, nowMs: number, k: number): Promise<Neighbours> {
    const ids = await this.#held(moment, nowMs);
    const users = new TowerRows(USER_TOWER, 1);
    this.#reader.user(moment.replay.state, userId, nowMs, users);
    const query = await this.#towers.user.run(users);
    const nearest = new Nearest(k);
    for (let i = 0; i < ids.length; i++) {
      const { vector } = this.#made.get(ids[i] as string) as Made;
      let dot = 0;
      for (let j = 0; j < query.length; j++) dot += (vector[j] as number) * (query[j] as number);
      nearest.push(i, dot);
    }
    const { items, scores } = nearest.sorted();
    return { ids: Array.from(items, (i) => ids[i] as string), scores };
  }

  /** The posts of the window, each with its vector made. */
  async #held({ broadcast, replay }: Moment, nowMs: number): Promise<string[]> {
    const held: string[] = [];
    const due: string[] = [];
    const rows = new TowerRows(POST_TOWER);
    this.#reader.begin(replay.state, nowMs);
    for (const post of broadcast.posts.values()) {
      const { postId, authorId, createdAtMs } = post;
      if (!retrievable(post) || createdAtMs < nowMs - WINDOW_MS) continue;
      held.push(postId);
      const made = this.#made.get(postId);
      if (made !== undefined && !isDue(post, made.atMs, nowMs)) continue;
      due.push(postId);
      this.#reader.post(replay.state, postId, authorId, rows);
    }
    if (due.length === 0) return held;
    const vectors = await this.#towers.post.run(rows);
    const d = vectors.length / due.length;
    due.forEach((postId, i) => {
      this.#made.set(postId, { vector: vectors.slice(i * d, (i + 1) * d), atMs: nowMs });
    });
    return held;
  }
}
