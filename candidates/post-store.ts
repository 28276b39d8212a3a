import type { Event, EventOf } from "../datasets/events.ts";
import type { VectorHolder } from "../features/entities.ts";
import { PostList, type TimedPosts } from "./post-list.ts";

/** What serving needs to know of a post without asking anybody. */
export interface StoredPost extends VectorHolder {
  readonly postId: string;
  readonly authorId: string;
  readonly createdAtMs: number;
  readonly kind: "original" | "reply" | "repost";
  readonly text: string;
  readonly language: string | undefined;
  readonly media: "none" | "photo" | "video";
  readonly videoMs: number;
  /** Root of the conversation; the post's own id when it began one. */
  readonly conversationId: string;
  readonly inReplyToPostId: string | undefined;
  readonly inReplyToAuthorId: string | undefined;
  readonly repostOfPostId: string | undefined;
  readonly repostOfAuthorId: string | undefined;
  readonly quoteOfPostId: string | undefined;
  readonly quoteOfAuthorId: string | undefined;
  readonly topics: readonly string[];
  readonly safetyLabels: readonly string[];
}

/** A post as the store links it to others. */
interface HeldPost extends StoredPost {
  /** The post that it answers, once looked up. */
  parent?: HeldPost | undefined;
  /** No longer in the store. */
  gone: boolean;
}

/** The newest posts of one author. Most authors have no more than one of the lists: an empty one is `NONE`. */
interface AuthorLists {
  originals: PostList<HeldPost>;
  /** Replies and reposts. */
  secondary: PostList<HeldPost>;
  /** Videos and reposts of videos, without replies. */
  videos: PostList<HeldPost>;
  /** The pass of `trim` that looks at this author. */
  readonly turn: number;
}
/** Never inserted into. */
const NONE = new PostList<HeldPost>();
const NO_POSTS = { originals: NONE, secondary: NONE, videos: NONE };
export type AuthorList = "originals" | "secondary" | "videos";

interface PostStoreOptions {
  /** Posts older than this are forgotten. */
  readonly retentionHours: number;
  /** Longest list kept of one author. */
  readonly listLimit: number;
}

const HOUR_MS = 3_600_000;
/** Authors are trimmed in this many turns, so that no single pass is long. */
const TRIM_TURNS = 5;

/**
 * The recent posts of everybody in memory, by id and by author: originals, replies and reposts, videos.
 * A deleted post or author leaves a tombstone for the retention time, so a late create does not bring a post back.
 *
 * Source: x-algorithm 2026, thunder/posts/post_store.rs (three lists an author, 48 h retention, lists ≤ 5,000,
 * trimming in five turns).
 */
export class PostStore {
  readonly #retentionMs: number;
  readonly #listLimit: number;
  readonly #posts = new Map<string, HeldPost>();
  readonly #authors = new Map<string, AuthorLists>();
  /** Deleted post → time of the deletion. */
  readonly #tombstones = new Map<string, number>();
  /** Deleted user → time of the deletion. */
  readonly #deletedAuthors = new Map<string, number>();
  #newestMs = 0;
  #turn = 0;
  #nextTurn = 0;

  constructor(options: PostStoreOptions = { retentionHours: 48, listLimit: 5000 }) {
    this.#retentionMs = options.retentionHours * HOUR_MS;
    this.#listLimit = options.listLimit;
  }

  get size(): number {
    return this.#posts.size;
  }

  /** Time of the newest event that it has had, epoch ms; 0 before the first. */
  get newestMs(): number {
    return this.#newestMs;
  }

  get(postId: string): StoredPost | undefined {
    return this.#posts.get(postId);
  }

  /**
   * The post that a reply of this store answers, where the store has it. Remembered in the post: requests ask of each reply that they
   * look at, and a lookup by id costs as much as the rest of the look.
   */
  parentOf(post: StoredPost): StoredPost | undefined {
    const held = post as HeldPost;
    if (held.parent?.gone) held.parent = undefined;
    if (held.parent === undefined && held.inReplyToPostId !== undefined)
      held.parent = this.#posts.get(held.inReplyToPostId);
    return held.parent;
  }

  isDeleted(postId: string): boolean {
    return this.#tombstones.has(postId);
  }

  values(): Iterable<StoredPost> {
    return this.#posts.values();
  }

  /** One author's posts by kind. */
  byAuthor(authorId: string): Readonly<Record<AuthorList, TimedPosts>> {
    return this.#authors.get(authorId) ?? NO_POSTS;
  }

  apply(event: Event): void {
    if (event.time_ms > this.#newestMs) this.#newestMs = event.time_ms;
    if (event.type === "post_created") this.#create(event);
    else if (event.type === "post_deleted") this.#delete(event.post_id, event.time_ms);
    else if (event.type === "user_deleted") this.#forgetAuthor(event.user_id, event.time_ms);
  }

  /** Forgets what is past retention at `nowMs`: all tombstones and one fifth of the authors a call. */
  trim(nowMs: number): void {
    const oldest = nowMs - this.#retentionMs;
    for (const tombstones of [this.#tombstones, this.#deletedAuthors])
      for (const [id, deletedAt] of tombstones) if (deletedAt < oldest) tombstones.delete(id);
    for (const [authorId, lists] of this.#authors) {
      if (lists.turn !== this.#turn) continue;
      for (const post of lists.originals.dropBefore(oldest)) this.#drop(post);
      for (const post of lists.secondary.dropBefore(oldest)) this.#drop(post);
      lists.videos.dropBefore(oldest);
      if (isEmpty(lists)) this.#authors.delete(authorId);
    }
    this.#turn = (this.#turn + 1) % TRIM_TURNS;
  }

  snapshot(): unknown {
    const videoIds = new Set<string>();
    for (const { videos } of this.#authors.values())
      for (const post of videos.posts) videoIds.add(post.postId);
    return {
      posts: Array.from(this.#posts.values(), ({ parent, gone, vectorCell, ...post }) => post),
      videoIds,
      tombstones: this.#tombstones,
      deletedAuthors: this.#deletedAuthors,
      newestMs: this.#newestMs,
    };
  }

  restore(snapshot: unknown): void {
    const { posts, videoIds, tombstones, deletedAuthors, newestMs } = snapshot as {
      posts: StoredPost[];
      videoIds: Set<string>;
      tombstones: Map<string, number>;
      deletedAuthors: Map<string, number>;
      newestMs: number;
    };
    this.#newestMs = newestMs;
    for (const post of posts) this.#insert(heldPost(post), videoIds.has(post.postId));
    for (const [id, time] of tombstones) this.#tombstones.set(id, time);
    for (const [id, time] of deletedAuthors) this.#deletedAuthors.set(id, time);
  }

  #create(event: EventOf<"post_created">): void {
    if (this.#tombstones.has(event.post_id) || this.#posts.has(event.post_id)) return;
    if (event.time_ms < this.#newestMs - this.#retentionMs) return;
    if (event.time_ms <= (this.#deletedAuthors.get(event.author_id) ?? -1)) return;
    const post = heldPost({
      postId: event.post_id,
      authorId: event.author_id,
      createdAtMs: event.time_ms,
      kind:
        event.repost_of_post_id !== undefined
          ? "repost"
          : event.in_reply_to_post_id !== undefined
            ? "reply"
            : "original",
      text: event.text,
      language: event.language,
      media: event.media,
      videoMs: event.video_ms ?? 0,
      conversationId: event.conversation_id ?? event.post_id,
      inReplyToPostId: event.in_reply_to_post_id,
      inReplyToAuthorId: event.in_reply_to_author_id,
      repostOfPostId: event.repost_of_post_id,
      repostOfAuthorId: event.repost_of_author_id,
      quoteOfPostId: event.quote_of_post_id,
      quoteOfAuthorId: event.quote_of_author_id,
      topics: event.topics,
      safetyLabels: event.safety_labels,
    });
    this.#insert(post, this.#isVideo(post));
  }

  #isVideo(post: StoredPost): boolean {
    if (post.kind === "reply") return false;
    if (post.media === "video") return true;
    const source =
      post.kind === "repost" ? this.#posts.get(post.repostOfPostId as string) : undefined;
    return source !== undefined && source.kind !== "reply" && source.media === "video";
  }

  #drop(post: HeldPost): void {
    this.#posts.delete(post.postId);
    post.gone = true;
    // Else a thread of forgotten posts would hang on its last reply.
    post.parent = undefined;
    post.vectorCell = undefined;
  }

  #insert(post: HeldPost, video: boolean): void {
    this.#posts.set(post.postId, post);
    let lists = this.#authors.get(post.authorId);
    if (lists === undefined) {
      lists = {
        originals: NONE,
        secondary: NONE,
        videos: NONE,
        turn: this.#nextTurn++ % TRIM_TURNS,
      };
      this.#authors.set(post.authorId, lists);
    }
    if (video) listOf(lists, "videos").insert(post, this.#listLimit);
    const main = listOf(lists, post.kind === "original" ? "originals" : "secondary");
    for (const dropped of main.insert(post, this.#listLimit)) {
      this.#drop(dropped);
      lists.videos.remove(dropped);
    }
  }

  #delete(postId: string, timeMs: number): void {
    this.#tombstones.set(postId, timeMs);
    const post = this.#posts.get(postId);
    if (post === undefined) return;
    this.#drop(post);
    const lists = this.#authors.get(post.authorId);
    if (lists === undefined) return;
    for (const list of [lists.originals, lists.secondary, lists.videos]) list.remove(post);
    if (isEmpty(lists)) this.#authors.delete(post.authorId);
  }

  #forgetAuthor(authorId: string, timeMs: number): void {
    const lists = this.#authors.get(authorId);
    for (const post of [...(lists?.originals.posts ?? []), ...(lists?.secondary.posts ?? [])])
      this.#delete(post.postId, timeMs);
    this.#deletedAuthors.set(authorId, timeMs);
  }
}

/**
 * Written out field by field, so that all posts have one layout with the fields in the object itself: what is read from a
 * snapshot or spread has not, and is several times as slow to read.
 */
function heldPost(post: StoredPost): HeldPost {
  return {
    postId: post.postId,
    authorId: post.authorId,
    createdAtMs: post.createdAtMs,
    kind: post.kind,
    text: post.text,
    language: post.language,
    media: post.media,
    videoMs: post.videoMs,
    conversationId: post.conversationId,
    inReplyToPostId: post.inReplyToPostId,
    inReplyToAuthorId: post.inReplyToAuthorId,
    repostOfPostId: post.repostOfPostId,
    repostOfAuthorId: post.repostOfAuthorId,
    quoteOfPostId: post.quoteOfPostId,
    quoteOfAuthorId: post.quoteOfAuthorId,
    topics: post.topics,
    safetyLabels: post.safetyLabels,
    vectorCell: undefined,
    parent: undefined,
    gone: false,
  };
}

/** The list to insert into. */
function listOf(lists: AuthorLists, name: AuthorList): PostList<HeldPost> {
  if (lists[name] === NONE) lists[name] = new PostList();
  return lists[name];
}

const isEmpty = ({ originals, secondary }: AuthorLists): boolean =>
  originals.posts.length === 0 && secondary.posts.length === 0;
