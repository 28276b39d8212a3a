import { hash32 } from "../datasets/random.ts";
import { type Entity, GLOBAL_KEY, pairKey, type StateView, TOPICS_PER_POST } from "./entities.ts";
import { userElsewhere } from "./families/elsewhere.ts";
import { followList } from "./families/follow-list.ts";
import { emptyPriors, loadPriors } from "./families/global.ts";
import { isCreated, POST } from "./families/post-content.ts";
import { authorTopics, topicShares } from "./families/topic-shares.ts";
import { viewerTopics } from "./families/viewer-topics.ts";
import type { FeatureFamily, RowContext, TopicCell } from "./family.ts";
import { type ReadPlan, type ReadStep, readPlan } from "./read-plan.ts";
import { type IdColumn, OFFSETS } from "./registry.ts";
import { type AuthorVectors, SharedReads } from "./shared-reads.ts";
import { INTEREST } from "./signals.ts";
import { touch } from "./touch.ts";
import type { InterestOffsets, ViewerInterests } from "./viewer-interests.ts";

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
  readonly #reads: ReadonlySet<Entity>;
  readonly #readsTopics: boolean;
  readonly #readsPairs: boolean;
  readonly #embedsAuthor: boolean;
  readonly #scratch: Float32Array;
  readonly #requestRow: Float32Array;
  readonly #context: RowContext = emptyContext();
  readonly #authorHash = new Map<string, number>();
  readonly #surfaceHash = new Map<string, number>();
  /** What the request has met so far; `#authors` maps to places in `#authorRows`, which are used again. */
  readonly #authors = new Map<string, number>();
  readonly #authorRows: AuthorRow[] = [];
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
    this.#scratch = new Float32Array(this.#plan.widest);
    this.#mediaColumns = Int32Array.from(this.#plan.media.flatMap(({ targets }) => [...targets]));
  }

  /**
   * Begins a request: loads what depends on the viewer alone and computes those features once.
   * @param shared what other readers of the same request have read of the same view
   */
  begin(view: StateView, request: FeatureRequest, shared?: SharedReads): void {
    const context = this.#context;
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
    for (const step of this.#plan.request) this.#run(step, this.#requestRow, 0);
  }

  #interests(): ViewerInterests | undefined {
    const context = this.#context;
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

  /** The same for rows from `from` to before `to`: sooner than one by one where posts are many. */
  rows(
    posts: readonly (Float64Array | undefined)[],
    authorIds: readonly (string | undefined)[],
    matrix: Float32Array,
    idMatrix: Uint32Array,
    from: number,
    to: number,
  ): void {
    for (let begin = from; begin < to; begin += ROWS_AT_ONCE) {
      const end = Math.min(to, begin + ROWS_AT_ONCE);
      touch(posts, begin, end);
      for (let row = begin; row < end; row++)
        this.rowOf(posts[row], authorIds[row], matrix, idMatrix, row);
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
    const start = row * this.features.length;
    const author = this.#loadAuthor(authorId);
    matrix.set(author.values, start);
    this.#loadPost(post);
    this.#copyMedia(matrix, start);
    const steps = this.#plan.row;
    for (let s = 0; s < steps.length; s++) this.#run(steps[s] as ReadStep, matrix, start);
    for (let k = 0; k < this.ids.length; k++)
      idMatrix[row * this.ids.length + k] = this.#id(this.ids[k] as IdColumn, author);
  }

  /** The request's and this author's values as a row; the author's vector is put into the context. */
  #loadAuthor(authorId: string | undefined): AuthorRow {
    const context = this.#context;
    const key = authorId ?? NO_AUTHOR;
    const known = this.#authors.get(key);
    context.authorKnown = authorId !== undefined;
    if (known !== undefined) {
      const row = this.#authorRows[known] as AuthorRow;
      context.author = row.author;
      return row;
    }
    const place = this.#authors.size;
    this.#authors.set(key, place);
    let row = this.#authorRows[place];
    if (row === undefined) {
      row = { author: undefined, hash: 0, values: new Float32Array(this.features.length) };
      this.#authorRows.push(row);
    }
    const vectors = authorId === undefined ? UNKNOWN_AUTHOR : this.#authorVectors(authorId);
    context.author = vectors.author;
    context.userAuthor = vectors.pair?.userAuthor;
    context.authorUser = vectors.pair?.authorUser;
    row.author = context.author;
    row.hash =
      this.#embedsAuthor && authorId !== undefined
        ? remembered(this.#authorHash, "author", authorId)
        : 0;
    row.values.set(this.#requestRow);
    for (const step of this.#plan.author) this.#run(step, row.values, 0);
    return row;
  }

  #authorVectors(authorId: string): AuthorVectors {
    const view = this.#view as StateView;
    let held = this.#shared.authors.get(authorId);
    if (held === undefined) {
      held = { author: view.get("author", authorId), pair: undefined };
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
    const context = this.#context;
    context.post = post;
    context.topicCount = 0;
    if (!isCreated(post) || !this.#readsTopics) return;
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
    const { post } = this.#context;
    const media = isCreated(post) ? (post[POST.media] as number) : UNKNOWN_MEDIA;
    const values = this.#media.get(media) ?? this.#loadMedia(media);
    for (let i = 0; i < this.#mediaColumns.length; i++) {
      const column = this.#mediaColumns[i] as number;
      matrix[start + column] = values[column] as number;
    }
  }

  #loadMedia(media: number): Float32Array {
    const context = this.#context;
    context.userMedia =
      media === UNKNOWN_MEDIA
        ? undefined
        : (this.#view as StateView).get("user_media", pairKey(this.#userId, String(media)));
    const values = new Float32Array(this.features.length);
    for (const step of this.#plan.media) this.#run(step, values, 0);
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
      number: this.#context.interests?.find(topic) ?? -1,
      values: undefined,
      userValues: undefined,
    };
    this.#topics.set(topic, cell);
    return cell;
  }

  #run(step: ReadStep, target: Float32Array, start: number): void {
    if (step.direct >= 0) {
      step.read(this.#context, step.at, target, start + step.direct);
      return;
    }
    step.read(this.#context, step.at, this.#scratch, 0);
    const { wanted, targets } = step;
    for (let i = 0; i < targets.length; i++)
      target[start + (targets[i] as number)] = this.#scratch[wanted[i] as number] as number;
  }

  #id(column: IdColumn, author: AuthorRow): number {
    const post = this.#context.post;
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
        return this.#context.surface === undefined
          ? 0
          : remembered(this.#surfaceHash, "surface", this.#context.surface);
    }
  }
}

/** So many posts' vectors, of some 700 bytes each, stay in the processor's nearest cache while their rows are made. */
export const ROWS_AT_ONCE = 64;
const UNKNOWN_MEDIA = -1;
/** Stands for an unknown author; no id is empty. */
const NO_AUTHOR = "";

const UNKNOWN_AUTHOR: AuthorVectors = { author: undefined, pair: undefined };

interface AuthorRow {
  author: Float64Array | undefined;
  /** The id's hash where a model embeds it, else 0. */
  hash: number;
  /** Request and author features in their places [d]; the others hold nothing of use. */
  readonly values: Float32Array;
}

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

const offsetOf = (family: FeatureFamily): number => OFFSETS.get(family) as number;
export const INTEREST_OFFSETS: InterestOffsets = {
  topicShares: offsetOf(topicShares),
  authorTopics: offsetOf(authorTopics),
  followList: offsetOf(followList),
  viewerTopics: offsetOf(viewerTopics),
};

const NO_TOPIC: TopicCell = {
  topic: 0,
  state: undefined,
  userState: undefined,
  number: -1,
  values: undefined,
  userValues: undefined,
};

function emptyContext(): RowContext {
  return {
    nowMs: 0,
    surface: undefined,
    global: undefined,
    priors: emptyPriors(),
    user: undefined,
    surfaceState: undefined,
    userSurface: undefined,
    authorKnown: false,
    author: undefined,
    post: undefined,
    userAuthor: undefined,
    authorUser: undefined,
    userMedia: undefined,
    topicCount: 0,
    topicWeight: new Float64Array(TOPICS_PER_POST),
    topics: new Array(TOPICS_PER_POST).fill(NO_TOPIC),
    interests: undefined,
    authorTopicsAt: INTEREST_OFFSETS.authorTopics,
    userElsewhereAt: offsetOf(userElsewhere),
  };
}
