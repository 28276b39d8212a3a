import { hash32 } from "../datasets/random.ts";
import { type Entity, GLOBAL_KEY, pairKey, type StateView, TOPICS_PER_POST } from "./entities.ts";
import { followList } from "./families/follow-list.ts";
import { globalRate } from "./families/global.ts";
import { isCreated, POST } from "./families/post-content.ts";
import { authorTopics, topicShares } from "./families/topic-shares.ts";
import { viewerTopics } from "./families/viewer-topics.ts";
import type { FeatureFamily, RowContext } from "./family.ts";
import { FAMILY_OF, type IdColumn, OFFSETS, unknownFeatures } from "./registry.ts";
import { INTEREST } from "./signals.ts";
import { type InterestOffsets, ViewerInterests } from "./viewer-interests.ts";

/** Who asks, when and where. */
export interface FeatureRequest {
  readonly userId: string;
  readonly nowMs: number;
  readonly surface?: string;
}

interface Step {
  readonly read: FeatureFamily["read"];
  readonly at: number;
  /** Where the family's values go in a row, or −1 for those not asked for. */
  readonly targets: Int32Array;
  /** Set when the targets are consecutive: the family then writes into the row itself. */
  readonly direct: number;
}

/**
 * Reads chosen features of many candidates for one request, from the same definitions online and in replay.
 * A reader holds scratch space: use one per worker of execution, never across an `await`.
 */
export class FeatureReader {
  readonly features: readonly string[];
  readonly ids: readonly IdColumn[];
  readonly #requestSteps: Step[] = [];
  /** Of families whose values depend on the request and the author alone: computed once per author of a request. */
  readonly #authorSteps: Step[] = [];
  readonly #rowSteps: Step[] = [];
  readonly #reads = new Set<Entity>();
  readonly #scratch: Float32Array;
  readonly #requestRow: Float32Array;
  readonly #context: RowContext = emptyContext();
  readonly #authorHash = new Map<string, number>();
  readonly #surfaceHash = new Map<string, number>();
  readonly #interests = new ViewerInterests();
  /** What the request has met so far; `#authors` maps to places in `#authorRows`, which are used again. */
  readonly #authors = new Map<string, number>();
  readonly #authorRows: AuthorRow[] = [];
  readonly #topics = new Map<number, TopicState>();
  readonly #media = new Map<number, Float64Array | undefined>();
  #view: StateView | undefined;
  #userId = "";

  /**
   * @param features names in the order of the matrix' columns, each once.
   * @throws RangeError naming the features that the registry lacks or that come twice.
   */
  constructor(features: readonly string[], ids: readonly IdColumn[]) {
    this.features = features;
    this.ids = ids;
    this.#requestRow = new Float32Array(features.length);
    const missing = unknownFeatures(features, ids);
    if (missing.length > 0) throw new RangeError(`not in the registry: ${missing.join(", ")}`);
    const twice = features.filter((name, i) => features.indexOf(name) !== i);
    if (twice.length > 0) throw new RangeError(`features asked for twice: ${twice.join(", ")}`);
    let widest = 0;
    for (const family of new Set(features.map((name) => FAMILY_OF.get(name) as FeatureFamily))) {
      const places = family.features.map((spec) => features.indexOf(spec.name));
      const wanted = [...places.keys()].filter((i) => (places[i] as number) >= 0);
      const partly = wanted.length < places.length && family.readOf !== undefined;
      const targets = Int32Array.from(partly ? wanted.map((i) => places[i] as number) : places);
      const first = targets[0] as number;
      const direct = targets.every((target, i) => first >= 0 && target === first + i) ? first : -1;
      const read = partly ? (family.readOf?.(wanted) ?? family.read) : family.read;
      const step = { read, at: OFFSETS.get(family) as number, targets, direct };
      if (family.perRequest) this.#requestSteps.push(step);
      else if (family.reads.every((entity) => OF_AUTHOR.has(entity))) this.#authorSteps.push(step);
      else this.#rowSteps.push(step);
      for (const entity of family.reads) this.#reads.add(entity);
      widest = Math.max(widest, family.features.length);
    }
    // A post's media and topics are the keys of these.
    if (ids.length > 0 || KEYED_BY_POST.some((entity) => this.#reads.has(entity)))
      this.#reads.add("post");
    this.#scratch = new Float32Array(widest);
  }

  /** Begins a request: loads what depends on the viewer alone and computes those features once. */
  begin(view: StateView, request: FeatureRequest): void {
    const context = this.#context;
    this.#view = view;
    this.#userId = request.userId;
    context.nowMs = request.nowMs;
    context.surface = request.surface;
    context.global = view.get("global", GLOBAL_KEY);
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
    context.interests =
      this.#reads.has("user_follows") &&
      this.#interests.load(
        view,
        INTEREST_OFFSETS,
        request.userId,
        request.nowMs,
        context.global,
        context.user,
        globalRate(context, INTEREST),
      )
        ? this.#interests
        : undefined;
    this.#authors.clear();
    this.#topics.clear();
    this.#media.clear();
    for (const step of this.#requestSteps) this.#run(step, this.#requestRow, 0);
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
    const start = row * this.features.length;
    const author = this.#loadAuthor(authorId);
    matrix.set(author.values, start);
    this.#loadPost(postId);
    for (let s = 0; s < this.#rowSteps.length; s++)
      this.#run(this.#rowSteps[s] as Step, matrix, start);
    for (let k = 0; k < this.ids.length; k++)
      idMatrix[row * this.ids.length + k] = this.#id(this.ids[k] as IdColumn, authorId);
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
    const view = this.#view as StateView;
    const place = this.#authors.size;
    this.#authors.set(key, place);
    let row = this.#authorRows[place];
    if (row === undefined) {
      row = { author: undefined, values: new Float32Array(this.features.length) };
      this.#authorRows.push(row);
    }
    context.author =
      authorId !== undefined && this.#reads.has("author")
        ? view.get("author", authorId)
        : undefined;
    row.author = context.author;
    if (this.#reads.has("user_author")) {
      const user = this.#userId;
      const asked = authorId !== undefined;
      context.userAuthor = asked ? view.get("user_author", pairKey(user, authorId)) : undefined;
      context.authorUser = asked ? view.get("user_author", pairKey(authorId, user)) : undefined;
    }
    row.values.set(this.#requestRow);
    for (const step of this.#authorSteps) this.#run(step, row.values, 0);
    return row;
  }

  #loadPost(postId: string): void {
    const context = this.#context;
    const reads = this.#reads;
    context.post = reads.has("post") ? (this.#view as StateView).get("post", postId) : undefined;
    const post = context.post;
    context.topicCount = 0;
    context.userMedia = undefined;
    if (!isCreated(post)) return;
    if (reads.has("user_media")) context.userMedia = this.#mediaState(post[POST.media] as number);
    if (!reads.has("topic") && !reads.has("user_topic")) return;
    for (let i = 0; i < TOPICS_PER_POST; i++) {
      const topic = post[POST.topics + 2 * i] as number;
      if (topic === 0) break;
      const state = this.#topicState(topic);
      context.topicWeight[i] = post[POST.topics + 2 * i + 1] as number;
      context.topics[i] = state.topic;
      context.userTopics[i] = state.userTopic;
      context.topicCount = i + 1;
    }
  }

  #mediaState(media: number): Float64Array | undefined {
    if (this.#media.has(media)) return this.#media.get(media);
    const view = this.#view as StateView;
    const state = view.get("user_media", pairKey(this.#userId, String(media)));
    this.#media.set(media, state);
    return state;
  }

  #topicState(topic: number): TopicState {
    const known = this.#topics.get(topic);
    if (known !== undefined) return known;
    const view = this.#view as StateView;
    const key = String(topic);
    const state = {
      topic: this.#reads.has("topic") ? view.get("topic", key) : undefined,
      userTopic: this.#reads.has("user_topic")
        ? view.get("user_topic", pairKey(this.#userId, key))
        : undefined,
    };
    this.#topics.set(topic, state);
    return state;
  }

  #run(step: Step, target: Float32Array, start: number): void {
    if (step.direct >= 0) {
      step.read(this.#context, step.at, target, start + step.direct);
      return;
    }
    step.read(this.#context, step.at, this.#scratch, 0);
    for (let i = 0; i < step.targets.length; i++) {
      const to = step.targets[i] as number;
      if (to >= 0) target[start + to] = this.#scratch[i] as number;
    }
  }

  #id(column: IdColumn, authorId: string | undefined): number {
    const post = this.#context.post;
    switch (column) {
      case "author":
        return authorId === undefined ? 0 : remembered(this.#authorHash, "author", authorId);
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

/** Entities whose state is the same for every post of an author in one request. */
const OF_AUTHOR: ReadonlySet<Entity> = new Set(["global", "user", "author", "user_author"]);
/** Stands for an unknown author; no id is empty. */
const NO_AUTHOR = "";

interface AuthorRow {
  author: Float64Array | undefined;
  /** Request and author features in their places [d]; the others hold nothing of use. */
  readonly values: Float32Array;
}

interface TopicState {
  readonly topic: Float64Array | undefined;
  readonly userTopic: Float64Array | undefined;
}

const KEYED_BY_POST = ["user_media", "topic", "user_topic"] as const;

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
const INTEREST_OFFSETS: InterestOffsets = {
  topicShares: offsetOf(topicShares),
  authorTopics: offsetOf(authorTopics),
  followList: offsetOf(followList),
  viewerTopics: offsetOf(viewerTopics),
};

function emptyContext(): RowContext {
  return {
    nowMs: 0,
    surface: undefined,
    global: undefined,
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
    topics: new Array(TOPICS_PER_POST).fill(undefined),
    userTopics: new Array(TOPICS_PER_POST).fill(undefined),
    interests: undefined,
    authorTopicsAt: INTEREST_OFFSETS.authorTopics,
  };
}
