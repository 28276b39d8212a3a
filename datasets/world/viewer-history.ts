import type { Event } from "../events.ts";
import type { ViewContext } from "./world.ts";

/** A pause longer than this ends a session. */
const SESSION_GAP_MS = 30 * 60_000;

interface Viewer {
  readonly follows: Set<string>;
  readonly hidden: Set<string>;
  readonly exposures: Map<string, number>;
  lastMs: number;
  shown: number;
}

/**
 * Keeps from the log what a `ViewContext` needs: follows, exposures to authors, the place in the session.
 * Feed it events in time order; a context reflects all that were observed.
 */
export class ViewerHistory {
  readonly #viewers = new Map<string, Viewer>();

  observe(event: Event): void {
    switch (event.type) {
      case "follow":
        this.#viewer(event.user_id).follows.add(event.target_id);
        break;
      case "unfollow":
        this.#viewer(event.user_id).follows.delete(event.target_id);
        break;
      case "block":
      case "mute":
        this.#viewer(event.user_id).hidden.add(event.target_id);
        break;
      case "unblock":
      case "unmute":
        this.#viewer(event.user_id).hidden.delete(event.target_id);
        break;
      case "impression": {
        const viewer = this.#viewer(event.user_id);
        const author = event.author_id ?? "";
        viewer.exposures.set(author, (viewer.exposures.get(author) ?? 0) + 1);
        if (event.time_ms - viewer.lastMs > SESSION_GAP_MS) viewer.shown = 0;
        viewer.shown++;
        viewer.lastMs = event.time_ms;
        break;
      }
      default:
    }
  }

  /** The context of a request now. Lives on: later events change what its functions answer. */
  context(userId: string, timeMs: number): Required<ViewContext> {
    const viewer = this.#viewer(userId);
    return {
      timeMs,
      positionInSession: timeMs - viewer.lastMs > SESSION_GAP_MS ? 0 : viewer.shown,
      follows: (author) => viewer.follows.has(author),
      authorExposures: (author) => viewer.exposures.get(author) ?? 0,
    };
  }

  /** Whether this person blocked or muted the author. */
  isHidden(userId: string, authorId: string): boolean {
    return this.#viewers.get(userId)?.hidden.has(authorId) ?? false;
  }

  follows(userId: string): ReadonlySet<string> {
    return this.#viewer(userId).follows;
  }

  #viewer(userId: string): Viewer {
    let viewer = this.#viewers.get(userId);
    if (!viewer) {
      viewer = {
        follows: new Set(),
        hidden: new Set(),
        exposures: new Map(),
        lastMs: Number.NEGATIVE_INFINITY,
        shown: 0,
      };
      this.#viewers.set(userId, viewer);
    }
    return viewer;
  }
}
