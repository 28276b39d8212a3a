import type { Event, EventOf } from "../events.ts";
import { WORLD_HEADS } from "../heads.ts";
import { ViewerHistory } from "./viewer-history.ts";
import type { World } from "./world.ts";

/** The page that a viewer is on: outcomes hold as of its beginning, what happens on it changes the next one only. */
interface Page {
  readonly requestId: string;
  readonly timeMs: number;
  readonly positionInSession: number;
  /** Author → impressions on this page so far. */
  readonly seen: Map<string, number>;
}

/**
 * Asks a world for the truth of every impression in [fromMs, toMs). Feed it the whole log in time order; row i is the
 * i-th impression in the range, as replay makes rows. The page's beginning is taken to be its first impression.
 */
export class RowTruth {
  readonly #world: World;
  readonly #fromMs: number;
  readonly #toMs: number;
  readonly #viewers: ViewerHistory;
  readonly #pages = new Map<string, Page>();
  #values = new Float32Array(1024 * WORLD_HEADS.length);
  #rows = 0;

  /** @param viewers shared with others who look at the same moments; this feeds it */
  constructor(
    world: World,
    { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
    viewers = new ViewerHistory(),
  ) {
    this.#world = world;
    this.#fromMs = fromMs;
    this.#toMs = toMs;
    this.#viewers = viewers;
  }

  observe(event: Event): void {
    if (event.type === "impression") {
      const page = this.#pageOf(event);
      if (event.time_ms >= this.#fromMs && event.time_ms < this.#toMs) {
        const { follows, authorExposures } = this.#viewers.context(event.user_id, page.timeMs);
        this.#add(
          this.#world.trueProbability(event.user_id, event.post_id, {
            timeMs: page.timeMs,
            positionInSession: page.positionInSession,
            follows,
            authorExposures: (author) => authorExposures(author) - (page.seen.get(author) ?? 0),
          }),
        );
      }
      const author = event.author_id ?? "";
      page.seen.set(author, (page.seen.get(author) ?? 0) + 1);
    }
    this.#viewers.observe(event);
  }

  #pageOf({ user_id, request_id, time_ms }: EventOf<"impression">): Page {
    const current = this.#pages.get(user_id);
    if (current?.requestId === request_id) return current;
    const page = {
      requestId: request_id,
      timeMs: time_ms,
      positionInSession: this.#viewers.context(user_id, time_ms).positionInSession,
      seen: new Map<string, number>(),
    };
    this.#pages.set(user_id, page);
    return page;
  }

  /** True probabilities (expected seconds for amounts) [rows, WORLD_HEADS]. */
  values(): Float32Array {
    return this.#values.subarray(0, this.#rows * WORLD_HEADS.length);
  }

  #add(truth: Float64Array): void {
    const at = this.#rows++ * WORLD_HEADS.length;
    if (at + truth.length > this.#values.length) {
      const larger = new Float32Array(2 * this.#values.length);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values.set(truth, at);
  }
}
