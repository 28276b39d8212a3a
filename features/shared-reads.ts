import type { Between } from "./entities.ts";
import { ViewerInterests } from "./viewer-interests.ts";

/**
 * What readers of one request on one unchanged view share: each state is looked up by the first that needs it. Only for
 * the same viewer, moment and surface.
 */
export class SharedReads {
  /** Authors met, by id. */
  readonly authors = new Map<string, AuthorVectors>();
  readonly #interests = new ViewerInterests();
  #known: boolean | undefined;

  /** The viewer's interests, which `load` fills at the first call; undefined where it says that no topic is known. */
  interests(load: (interests: ViewerInterests) => boolean): ViewerInterests | undefined {
    this.#known ??= load(this.#interests);
    return this.#known ? this.#interests : undefined;
  }

  /** Makes it ready for another request. */
  clear(): void {
    this.authors.clear();
    this.#known = undefined;
  }
}

/** What is known of an author at a request. */
export interface AuthorVectors {
  readonly author: Float64Array | undefined;
  /** Undefined until a reader asks that reads `user_author`. */
  pair: Between | undefined;
}
