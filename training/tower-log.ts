import type { Event, EventOf } from "../datasets/events.ts";
import { random } from "../datasets/random.ts";
import type { StateView } from "../features/entities.ts";
import { FeatureReader } from "../features/reader.ts";
import type { IdColumn } from "../features/registry.ts";
import { POST_TOWER, USER_TOWER } from "../features/tower-inputs.ts";
import { TowerReader } from "../features/tower-reader.ts";
import { TowerRows } from "../features/tower-rows.ts";
import { PostLots } from "./post-lots.ts";

const REMEMBERED_REQUESTS = 20_000;

export interface TowerLogOptions {
  /** Posts drawn for each request. */
  readonly lotsPerRequest: number;
  /** How many of them come from those that viewers act on; the others come uniformly from the window. Default: none. */
  readonly engagedPerRequest?: number;
  readonly seed: number;
  /** What rankers read, noted for every viewer and post by lot, so that a ranker can say what it is worth. */
  readonly features?: readonly string[];
  readonly ids?: readonly IdColumn[];
}

/**
 * Point-in-time inputs of both towers, noted while a log is replayed: the viewer once a request, the post at each
 * impression, and posts by lot from all that could have been shown then.
 */
export class TowerLog {
  readonly users = new TowerRows(USER_TOWER);
  readonly posts = new TowerRows(POST_TOWER);
  /** Posts by lot, `lotsPerRequest` to a row of `users`, of which the first `uniformPerRequest` are drawn uniformly. */
  readonly lots = new TowerRows(POST_TOWER);
  readonly lotsPerRequest: number;
  readonly uniformPerRequest: number;
  /** Impression row → row of `users`. */
  readonly userOf: number[] = [];
  /** Posts that uniform lots were drawn from, by request: what their log-Q is. */
  readonly eligible: number[] = [];
  /** Post of each lot, as its number in `postNumber`. */
  readonly lotPost: number[] = [];
  /** Columns of `lotFeatures` and `lotIds`. */
  readonly lotFeatureNames: readonly string[];
  readonly lotIdNames: readonly IdColumn[];
  /** Ranker's features of each lot for its viewer, row-major [lots, names]; NaN = missing. Ids likewise. */
  lotFeatures = new Float32Array(0);
  lotIds = new Uint32Array(0);
  readonly #rankerReader: FeatureReader;
  readonly #numbers = new Map<string, number>();
  readonly #reader = new TowerReader();
  readonly #options: TowerLogOptions;
  readonly #drawn = new PostLots();
  /** Request → its row of `users`, of the last two generations: impressions of one request come within minutes. */
  #recent = new Map<string, number>();
  #older = new Map<string, number>();

  constructor(options: TowerLogOptions) {
    this.#options = options;
    this.lotsPerRequest = options.lotsPerRequest;
    this.uniformPerRequest = options.lotsPerRequest - (options.engagedPerRequest ?? 0);
    this.lotFeatureNames = options.features ?? [];
    this.lotIdNames = options.ids ?? [];
    this.#rankerReader = new FeatureReader(this.lotFeatureNames, this.lotIdNames);
  }

  /** A dense number of a post. */
  postNumber(postId: string): number {
    let number = this.#numbers.get(postId);
    if (number === undefined) {
      number = this.#numbers.size;
      this.#numbers.set(postId, number);
    }
    return number;
  }

  /** Takes every event of the log in order. */
  observe(event: Event): void {
    this.#drawn.observe(event);
  }

  /** Takes the impression that becomes the next training row. */
  row(event: EventOf<"impression">, state: StateView): void {
    const key = `${event.request_id}|${event.user_id}`;
    let user = this.#recent.get(key) ?? this.#older.get(key);
    if (user === undefined) {
      user = this.#reader.user(state, event.user_id, event.time_ms, this.users);
      this.#drawLots(event, state, user);
    }
    this.#remember(key, user);
    this.userOf.push(user);
    this.#reader.begin(state, event.time_ms);
    this.#reader.post(state, event.post_id, event.author_id ?? "0", this.posts);
  }

  #remember(key: string, user: number): void {
    if (this.#recent.size >= REMEMBERED_REQUESTS) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(key, user);
  }

  #drawLots(event: EventOf<"impression">, state: StateView, user: number): void {
    const drawn = this.#drawn;
    this.eligible.push(drawn.begin(event.time_ms));
    const draws = random(this.#options.seed, "negatives", user);
    this.#reader.begin(state, event.time_ms);
    const ranked = this.lotFeatureNames.length > 0;
    if (ranked)
      this.#rankerReader.begin(state, {
        userId: event.user_id,
        nowMs: event.time_ms,
        ...(event.surface === undefined ? {} : { surface: event.surface }),
      });
    for (let i = 0; i < this.lotsPerRequest; i++) {
      const post = i < this.uniformPerRequest ? drawn.uniform(draws) : drawn.engaged(draws);
      // Before the first post there is nothing to draw: the shown one stands in.
      const id = post?.id ?? event.post_id;
      const author = post?.author ?? event.author_id ?? "0";
      const row = this.#reader.post(state, id, author, this.lots);
      if (ranked) this.#noteFeatures(id, author, row);
      this.lotPost.push(this.postNumber(id));
    }
  }

  #noteFeatures(postId: string, authorId: string, row: number): void {
    const [d, k] = [this.lotFeatureNames.length, this.lotIdNames.length];
    if (this.lotFeatures.length < (row + 1) * d) {
      const capacity = Math.max(1024, 2 * row);
      this.lotFeatures = grown(this.lotFeatures, new Float32Array(capacity * d));
      this.lotIds = grown(this.lotIds, new Uint32Array(capacity * k));
    }
    this.#rankerReader.row(postId, authorId, this.lotFeatures, this.lotIds, row);
  }
}

function grown<T extends Float32Array | Uint32Array>(from: T, into: T): T {
  into.set(from);
  return into;
}
