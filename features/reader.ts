import { hash32 } from "../datasets/random.ts";
import { type AuthorRow, AuthorRows } from "./author-rows.ts";
import { type Entity, GLOBAL_KEY, pairKey, type StateView, TOPICS_PER_POST } from "./entities.ts";
import { loadPriors } from "./families/global.ts";
import { isCreated, POST } from "./families/post-content.ts";
import type { TopicCell } from "./family.ts";
import type { KeptRows } from "./kept-rows.ts";
import { columnsOf, type ReadPlan, type ReadStep, readPlan } from "./read-plan.ts";
import type { IdColumn } from "./registry.ts";
import { INTEREST_OFFSETS } from "./row-context.ts";
import { type AuthorVectors, SharedReads } from "./shared-reads.ts";
import { INTEREST } from "./signals.ts";
import { StepRunner } from "./step-runner.ts";
import { touch, touchRows } from "./touch.ts";
import type { ViewerInterests } from "./viewer-interests.ts";

/** Who asks, when and where. */
export interface FeatureRequest {
  readonly userId: string;
  readonly nowMs: number;
  readonly surface?: string;
}

/**
 * Reads chosen features of many candidates for one request, from the same definitions online and in replay.
 * A reader holds scratch space: use one per worker of execution, never across an `await`.
 */
export class FeatureReader {
  readonly features: readonly string[];
  readonly ids: readonly IdColumn[];
  readonly #plan: ReadPlan;
  /** Columns of the features that depend on the kind of media. */
  readonly #mediaColumns: Int32Array;
  /** Whether rows look at posts beside what depends on them alone. */
  readonly #looksAtPosts: boolean;
  readonly #reads: ReadonlySet<Entity>;
  readonly #readsTopics: boolean;
  readonly #readsPairs: boolean;
  readonly #embedsAuthor: boolean;
  readonly #steps: StepRunner;
  readonly #requestRow: Float32Array;
  readonly #authorHash = new Map<string, number>();
  readonly #surfaceHash = new Map<string, number>();
  /** What the request has met so far, as are topics and media below. */
  readonly #authors: AuthorRows;
  /** Of a block of rows: where each row's author is. */
  readonly #places = new Int32Array(ROWS_AT_ONCE);
  readonly #topics = new Map<number, TopicCell>();
  /** By kind of media, `UNKNOWN_MEDIA` for posts of which nothing is known. */
  readonly #media = new Map<number, Float32Array>();
  #view: StateView | undefined;
  readonly #own = new SharedReads();
  #shared = this.#own;
  #userId = "";

  /**
   * @param features names in the order of the matrix' columns, each once.
   * @throws RangeError naming the features that the registry lacks or that come twice.
   */
  constructor(features: readonly string[], ids: readonly IdColumn[]) {
    this.features = features;
    this.ids = ids;
    this.#requestRow = new Float32Array(features.length);
    this.#plan = readPlan(features, ids);
    this.#reads = this.#plan.reads;
    this.#readsTopics = OF_TOPICS.some((entity) => this.#reads.has(entity));
    this.#readsPairs = this.#reads.has("user_author");
    this.#embedsAuthor = ids.includes("author");
    this.#steps = new StepRunner(this.#plan.widest);
    this.#authors = new AuthorRows(features.length, (authorId) => this.#authorVectors(authorId));
    this.#mediaColumns = columnsOf(this.#plan.media);
    this.#looksAtPosts =
      ids.length + this.#plan.row.length + this.#plan.media.length > 0 || this.#readsTopics;
  }

  /**
   * Begins a request: loads what depends on the viewer alone and computes those features once.
   * @param shared what other readers of the same request have read of the same view
   */
  begin(view: StateView, request: FeatureRequest, shared?: SharedReads): void {
    const { context } = this.#steps;
    this.#view = view;
    if (shared === undefined) this.#own.clear();
    this.#shared = shared ?? this.#own;
    this.#userId = request.userId;
    context.nowMs = request.nowMs;
    context.surface = request.surface;
    context.global = view.get("global", GLOBAL_KEY);
    loadPriors(context.global, context.priors);
    context.user = view.get("user", request.userId);
    const { surface } = request;
    context.surfaceState =
      surface !== undefined && this.#reads.has("surface")
        ? view.get("surface", surface)
        : undefined;
    context.userSurface =
      surface !== undefined && this.#reads.has("user_surface")
        ? view.get("user_surface", pairKey(request.userId, surface))
        : undefined;
    context.interests = this.#reads.has("user_follows") ? this.#interests() : undefined;
    this.#authors.clear();
    this.#topics.clear();
    this.#media.clear();
    for (const step of this.#plan.request) this.#steps.run(step, this.#requestRow, 0);
  }

  #interests(): ViewerInterests | undefined {
    const { context } = this.#steps;
    return this.#shared.interests((interests) =>
      interests.load(
        this.#view as StateView,
        INTEREST_OFFSETS,
        this.#userId,
        context.nowMs,
        context.global,
        context.user,
        context.priors.mean[INTEREST] as number,
      ),
    );
  }

  /**
   * Writes one candidate's features to `matrix` from `row · d` on and its id hashes to `idMatrix` from `row · k` on.
   * @param authorId undefined when unknown.
   */
  row(
    postId: string,
    authorId: string | undefined,
    matrix: Float32Array,
    idMatrix: Uint32Array,
    row: number,
  ): void {
    const post = this.#reads.has("post") ? this.#view?.get("post", postId) : undefined;
    this.rowOf(post, authorId, matrix, idMatrix, row);
  }

  /**
   * The same for rows from `from` to before `to`: sooner than one by one where posts are many.
   * @param kept by row, where somebody keeps what is made of posts: those values are of `kept`'s moment, not the request's
   */
  rows(
    posts: readonly (Float64Array | undefined)[],
    authorIds: readonly (string | undefined)[],
    matrix: Float32Array,
    idMatrix: Uint32Array,
    from: number,
    to: number,
    kept: readonly (KeptRows | undefined)[] = NOTHING_KEPT,
  ): void {
    for (let begin = from; begin < to; begin += ROWS_AT_ONCE) {
      const end = Math.min(to, begin + ROWS_AT_ONCE);
      // What the block will read: vectors, and rows that were kept.
      const vectors: (Float64Array | undefined)[] = [];
      const rows: Float32Array[] = [];
      for (let row = begin; row < end; row++) {
        const values = kept[row]?.find(this.#plan.post);
        if (values !== undefined) rows.push(values);
        if (values === undefined || this.#looksAtPosts) vectors.push(posts[row]);
        const met = this.#authors.size;
        const place = this.#authors.placeOf(authorIds[row]);
        this.#places[row - begin] = place;
        if (place < met) continue;
        const author = this.#authors.at(place).vectors;
        const authorValues = author.kept?.find(this.#plan.author);
        if (authorValues === undefined) vectors.push(author.author);
        else rows.push(authorValues);
        if (author.pair !== undefined) vectors.push(author.pair.userAuthor);
      }
      touch(vectors);
      touchRows(rows);
      for (let row = begin; row < end; row++)
        this.#row(
          posts[row],
          this.#places[row - begin] as number,
          matrix,
          idMatrix,
          row,
          kept[row],
        );
    }
  }

  /** The same for a post whose vector is at hand; undefined when nothing is known of it. */
  rowOf(
    post: Float64Array | undefined,
    authorId: string | undefined,
    matrix: Float32Array,
    idMatrix: Uint32Array,
    row: number,
  ): void {
    this.#row(post, this.#authors.placeOf(authorId), matrix, idMatrix, row, undefined);
  }

  #row(
    post: Float64Array | undefined,
    place: number,
    matrix: Float32Array,
    idMatrix: Uint32Array,
    row: number,
    kept: KeptRows | undefined,
  ): void {
    const start = row * this.features.length;
    const author = this.#loadAuthor(place);
    matrix.set(author.values, start);
    this.#loadPost(post);
    this.#copyMedia(matrix, start);
    this.#steps.runAlone(this.#plan.post, matrix, start, kept);
    const steps = this.#plan.row;
    for (let s = 0; s < steps.length; s++) this.#steps.run(steps[s] as ReadStep, matrix, start);
    for (let k = 0; k < this.ids.length; k++)
      idMatrix[row * this.ids.length + k] = this.#id(this.ids[k] as IdColumn, author);
  }

  /** The request's and this author's values as a row; the author's vector is put into the context. */
  #loadAuthor(place: number): AuthorRow {
    const { context } = this.#steps;
    const row = this.#authors.at(place);
    const { id, vectors } = row;
    context.authorKnown = id !== undefined;
    context.author = vectors.author;
    if (row.made) return row;
    context.userAuthor = vectors.pair?.userAuthor;
    context.authorUser = vectors.pair?.authorUser;
    row.hash =
      this.#embedsAuthor && id !== undefined ? remembered(this.#authorHash, "author", id) : 0;
    row.values.set(this.#requestRow);
    this.#steps.runAlone(this.#plan.author, row.values, 0, vectors.kept);
    for (const step of this.#plan.pair) this.#steps.run(step, row.values, 0);
    row.made = true;
    return row;
  }

  #authorVectors(authorId: string): AuthorVectors {
    const view = this.#view as StateView;
    let held = this.#shared.authors.get(authorId);
    if (held === undefined) {
      held = { author: view.get("author", authorId), pair: undefined, kept: undefined };
      this.#shared.authors.set(authorId, held);
    }
    if (this.#readsPairs)
      held.pair ??= {
        userAuthor: view.get("user_author", pairKey(this.#userId, authorId)),
        authorUser: view.get("user_author", pairKey(authorId, this.#userId)),
      };
    return held;
  }

  #loadPost(post: Float64Array | undefined): void {
    const { context } = this.#steps;
    context.post = post;
    context.topicCount = 0;
    if (!this.#readsTopics || !isCreated(post)) return;
    for (let i = 0; i < TOPICS_PER_POST; i++) {
      const topic = post[POST.topics + 2 * i] as number;
      if (topic === 0) break;
      context.topicWeight[i] = post[POST.topics + 2 * i + 1] as number;
      context.topics[i] = this.#topicCell(topic);
      context.topicCount = i + 1;
    }
  }

  /** Writes the values that depend on the loaded post's kind of media. */
  #copyMedia(matrix: Float32Array, start: number): void {
    if (this.#mediaColumns.length === 0) return;
    const { post } = this.#steps.context;
    const media = isCreated(post) ? (post[POST.media] as number) : UNKNOWN_MEDIA;
    const values = this.#media.get(media) ?? this.#loadMedia(media);
    for (let i = 0; i < this.#mediaColumns.length; i++) {
      const column = this.#mediaColumns[i] as number;
      matrix[start + column] = values[column] as number;
    }
  }

  #loadMedia(media: number): Float32Array {
    const { context } = this.#steps;
    context.userMedia =
      media === UNKNOWN_MEDIA
        ? undefined
        : (this.#view as StateView).get("user_media", pairKey(this.#userId, String(media)));
    const values = new Float32Array(this.features.length);
    for (const step of this.#plan.media) this.#steps.run(step, values, 0);
    this.#media.set(media, values);
    return values;
  }

  #topicCell(topic: number): TopicCell {
    const known = this.#topics.get(topic);
    if (known !== undefined) return known;
    const view = this.#view as StateView;
    const key = String(topic);
    const cell: TopicCell = {
      topic,
      state: this.#reads.has("topic") ? view.get("topic", key) : undefined,
      userState: this.#reads.has("user_topic")
        ? view.get("user_topic", pairKey(this.#userId, key))
        : undefined,
      number: this.#steps.context.interests?.find(topic) ?? -1,
      values: undefined,
      userValues: undefined,
    };
    this.#topics.set(topic, cell);
    return cell;
  }

  #id(column: IdColumn, author: AuthorRow): number {
    const post = this.#steps.context.post;
    switch (column) {
      case "author":
        return author.hash;
      case "topic":
        return post?.[POST.topics] ?? 0;
      case "language":
        return post?.[POST.language] ?? 0;
      case "media":
        return isCreated(post) ? 1 + (post[POST.media] as number) : 0;
      case "surface":
        return this.#steps.context.surface === undefined
          ? 0
          : remembered(this.#surfaceHash, "surface", this.#steps.context.surface);
    }
  }
}

/** So many posts' vectors, of some 700 bytes each, stay in the processor's nearest cache while their rows are made. */
export const ROWS_AT_ONCE = 64;
const UNKNOWN_MEDIA = -1;
const NOTHING_KEPT: readonly KeptRows[] = [];

/** Entities that a row reads through the post's topics. */
const OF_TOPICS = ["topic", "user_topic", "user_follows"] as const;

/** The hash of an id, 1 in place of 0, from a bounded cache of one kind. */
function remembered(hashes: Map<string, number>, kind: string, id: string): number {
  const known = hashes.get(id);
  if (known !== undefined) return known;
  if (hashes.size > 200_000) hashes.clear();
  const hash = hash32(0, kind, id) || 1;
  hashes.set(id, hash);
  return hash;
}
