import { createHash } from "node:crypto";
import { readDataset } from "../../datasets/dataset.ts";
import { random } from "../../datasets/random.ts";
import { applyEvent } from "../../features/engine.ts";
import type { StateView } from "../../features/entities.ts";
import { MemoryState } from "../../features/memory-store.ts";
import { FeatureReader } from "../../features/reader.ts";
import { LoadedFeatures } from "../../features/redis/loaded-features.ts";
import type { IdColumn } from "../../features/registry.ts";
import { SharedReads } from "../../features/shared-reads.ts";
import { DEMO_SEED } from "./demo-space.ts";

const POSTS = 500;
/** Candidates are of the newest so many, half of them by authors that the viewer has met. */
const RECENT = 20_000;

/** One viewer's request. */
export interface Case {
  readonly userId: string;
  readonly nowMs: number;
  readonly surface: string;
  readonly postIds: readonly string[];
  /** By post. */
  readonly authorOf: readonly string[];
  readonly authorIds: readonly string[];
}

/** What a matrix is made of. */
export interface Columns {
  readonly features: readonly string[];
  readonly ids: readonly IdColumn[];
}

/** The state at the end of the data set, and requests of viewers at that moment. */
export async function world(
  space: string,
  viewerCount: number,
): Promise<{ state: MemoryState; cases: Case[] }> {
  const state = new MemoryState();
  const posts: { id: string; author: string }[] = [];
  const viewers = new Set<string>();
  let nowMs = 0;
  for await (const batch of readDataset(space))
    for (const event of batch) {
      applyEvent(state, event);
      nowMs = event.time_ms;
      if (event.type === "post_created") posts.push({ id: event.post_id, author: event.author_id });
      else if (event.type === "impression") viewers.add(event.user_id);
    }
  const recent = posts.slice(-RECENT);
  const rnd = random(DEMO_SEED, "bench features");
  const cases = [...viewers].slice(0, viewerCount).map((userId): Case => {
    const met = recent.filter(
      ({ author }) => state.get("user_author", `${userId}|${author}`) !== undefined,
    );
    const chosen = new Map<string, string>();
    const take = (from: typeof recent, upTo: number): void => {
      for (let tries = 0; chosen.size < upTo && tries < 20 * POSTS && from.length > 0; tries++) {
        const { id, author } = from[rnd.below(from.length)] as (typeof recent)[0];
        chosen.set(id, author);
      }
    };
    take(met, POSTS / 2);
    take(recent, POSTS);
    const authorOf = [...chosen.values()];
    return {
      userId,
      nowMs,
      surface: "home",
      postIds: [...chosen.keys()],
      authorOf,
      authorIds: [...new Set(authorOf)],
    };
  });
  return { state, cases };
}

/** Makes a request's matrix from a view. */
export function rowsOf({ features, ids }: Columns) {
  const reader = new FeatureReader(features, ids);
  return (view: StateView, request: Case): Float32Array => {
    const matrix = new Float32Array(POSTS * features.length);
    const hashes = new Uint32Array(POSTS * ids.length);
    // As ranking does: what was loaded has the posts in their order, and the authors.
    const loaded = view instanceof LoadedFeatures ? view : undefined;
    reader.begin(view, request, loaded && new SharedReads(loaded.authors));
    const posts = loaded?.posts ?? request.postIds.map((id) => view.get("post", id));
    reader.rows(posts, request.authorOf, matrix, hashes, 0, request.postIds.length, loaded?.kept);
    return matrix;
  };
}

export const checksum = (matrix: Float32Array): string =>
  createHash("sha256").update(new Uint8Array(matrix.buffer)).digest("hex");
