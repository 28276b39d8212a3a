import type { AuthorVectors } from "./shared-reads.ts";

/** What a request knows of one author. */
export interface AuthorRow {
  /** Undefined when the request did not say who wrote a post. */
  id: string | undefined;
  vectors: AuthorVectors;
  /** Whether hash and values are this author's by now. */
  made: boolean;
  /** The id's hash where a model embeds it, else 0. */
  hash: number;
  /** Request and author features in their places [d]; the others hold nothing of use. */
  readonly values: Float32Array;
}

/** Stands for an unknown author; no id is empty. */
const NO_AUTHOR = "";
const UNKNOWN_AUTHOR: AuthorVectors = { author: undefined, pair: undefined, kept: undefined };

/** The authors that a request has met, in the order in which it did; their rows are used again by the next request. */
export class AuthorRows {
  readonly #places = new Map<string, number>();
  readonly #rows: AuthorRow[] = [];
  readonly #width: number;
  readonly #vectorsOf: (authorId: string) => AuthorVectors;

  /**
   * @param width features of a row
   * @param vectorsOf asked once a request for each author
   */
  constructor(width: number, vectorsOf: (authorId: string) => AuthorVectors) {
    this.#width = width;
    this.#vectorsOf = vectorsOf;
  }

  /** How many authors were met. */
  get size(): number {
    return this.#places.size;
  }

  /** Forgets them all, and holds nothing of theirs. */
  clear(): void {
    for (let place = 0; place < this.size; place++) this.at(place).vectors = UNKNOWN_AUTHOR;
    this.#places.clear();
  }

  at(place: number): AuthorRow {
    return this.#rows[place] as AuthorRow;
  }

  /** The author's place: the next one for an author that was not met before, whose row is still to be made. */
  placeOf(authorId: string | undefined): number {
    const key = authorId ?? NO_AUTHOR;
    const met = this.#places.get(key);
    if (met !== undefined) return met;
    const place = this.size;
    this.#places.set(key, place);
    // Written out: of an object that was spread the processor finds `values` by way of another.
    this.#rows[place] ??= {
      id: undefined,
      vectors: UNKNOWN_AUTHOR,
      made: false,
      hash: 0,
      values: new Float32Array(this.#width),
    };
    const row = this.at(place);
    row.id = authorId;
    row.vectors = authorId === undefined ? UNKNOWN_AUTHOR : this.#vectorsOf(authorId);
    row.made = false;
    return place;
  }
}
