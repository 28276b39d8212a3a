import type { KeptRows } from "./kept-rows.ts";
import { ViewerInterests } from "./viewer-interests.ts";

/**
 * What readers of one request on one unchanged view share: each state is looked up by the first that needs it. Only for
 * the same viewer, moment and surface.
 */
export class SharedReads {
  /** Authors met, by id. */
  readonly authors: Map<string, AuthorVectors>;
  readonly #interests = new ViewerInterests();
  #known: boolean | undefined;

  /** @param authors that were looked up before */
  constructor(authors = new Map<string, AuthorVectors>()) {
    this.authors = authors;
  }

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
  author: Float64Array | undefined;
  /** Undefined until somebody asks for it. */
  pair: Between | undefined;
  /** What is kept of the author's features, where somebody keeps them. */
  kept: KeptRows | undefined;
}

/** The viewer's state towards an author, and the author's towards the viewer. */
export interface Between {
  readonly userAuthor: Float64Array | undefined;
  readonly authorUser: Float64Array | undefined;
}
