import { type Event, EventSchema } from "../datasets/events.ts";
import { random } from "../datasets/random.ts";

export interface SmallWorldOptions {
  readonly users?: number;
  readonly posts?: number;
  readonly impressions?: number;
  readonly days?: number;
  /** Posts and accounts vanish too. */
  readonly deletions?: boolean;
  /** Whether posts have words. */
  readonly text?: boolean;
  /** Times fall on whole multiples of this, so that a coarse one makes many equal. */
  readonly stepMs?: number;
}

export const SMALL_WORLD_START_MS = Date.UTC(2025, 4, 5, 6);
const HEADS = [
  "click",
  "favorite",
  "reply",
  "dwell",
  "not_interested",
  "block_author",
  "long_view",
];
const TOPICS = ["tea", "chess", "rail", "moss", "jazz"];
const SURFACES = ["home", "1"];

/**
 * A random log in time order with every kind of event that features look at: profiles (some users have none), follows and
 * unfollows, posts with text, labels, media and replies, impressions on surfaces, engagements later or in the same
 * millisecond, undos. Same options and seed, same log.
 */
export function smallWorld(seed: number, options: SmallWorldOptions = {}): Event[] {
  const { users = 12, posts = 60, impressions = 600, days = 3, stepMs = 1, text = true } = options;
  const rnd = random(seed, "small world");
  const span = days * 86_400_000;
  const at = (from = 0) =>
    SMALL_WORLD_START_MS + Math.floor((from + rnd.next() * (span - from)) / stepMs) * stepMs;
  /** Up to this many milliseconds, or some steps where these are longer. */
  const delay = (atMostMs: number) =>
    Math.floor((rnd.next() * Math.max(atMostMs, 3 * stepMs)) / stepMs) * stepMs;
  const one = <T>(items: readonly T[]): T => items[rnd.below(items.length)] as T;
  const user = () => String(1 + rnd.below(users));
  const out: unknown[] = [];

  for (let u = 1; u <= users; u++)
    if (rnd.next() < 0.8)
      out.push({
        type: "user_created",
        time_ms: SMALL_WORLD_START_MS - rnd.below(400) * 86_400_000,
        user_id: String(u),
        languages: rnd.next() < 0.7 ? ["en", "ja"].slice(rnd.below(2)) : [],
        utc_offset_minutes: 60 * (rnd.below(24) - 12),
        attributes: rnd.next() < 0.5 ? { register_days: rnd.below(900) } : {},
      });
  for (let i = 0; i < users * 5; i++)
    out.push({
      type: rnd.next() < 0.8 ? "follow" : "unfollow",
      time_ms: at(),
      user_id: user(),
      target_id: user(),
    });

  const made: { id: string; author: string; timeMs: number }[] = [];
  for (let p = 0; p < posts; p++) {
    const topic = rnd.below(TOPICS.length);
    const words = Array.from({ length: rnd.below(8) }, () =>
      rnd.next() < 0.5 ? `${TOPICS[topic]}${rnd.below(4)}` : `w${rnd.below(40)}`,
    );
    const parent = made.length > 0 && rnd.next() < 0.3 ? one(made) : undefined;
    const form = rnd.below(3);
    const media = one(["none", "photo", "video"] as const);
    const post = { id: String(1000 + p), author: user(), timeMs: at() };
    made.push(post);
    out.push({
      type: "post_created",
      time_ms: post.timeMs,
      post_id: post.id,
      author_id: post.author,
      text: text ? words.join(" ") : "",
      topics: rnd.next() < 0.7 ? [TOPICS[topic], ...(rnd.next() < 0.3 ? [one(TOPICS)] : [])] : [],
      ...(rnd.next() < 0.8 ? { language: one(["en", "ja", "de"]) } : {}),
      media,
      ...(media === "video" ? { video_ms: 1000 * (1 + rnd.below(90)) } : {}),
      ...(parent === undefined
        ? {}
        : form === 0
          ? {
              in_reply_to_post_id: parent.id,
              in_reply_to_author_id: parent.author,
              conversation_id: parent.id,
            }
          : form === 1
            ? { repost_of_post_id: parent.id, repost_of_author_id: parent.author }
            : { quote_of_post_id: parent.id, quote_of_author_id: parent.author }),
      attributes: rnd.next() < 0.6 ? { quality: rnd.next() } : {},
    });
  }

  for (let i = 0; i < impressions; i++) {
    const post = one(made);
    const viewer = user();
    const timeMs = at(post.timeMs - SMALL_WORLD_START_MS);
    const shared = {
      user_id: viewer,
      post_id: post.id,
      request_id: `q${i}`,
      ...(rnd.next() < 0.9 ? { author_id: post.author } : {}),
      ...(rnd.next() < 0.6 ? { surface: one(SURFACES) } : {}),
    };
    out.push({
      ...shared,
      type: "impression",
      time_ms: timeMs,
      position: rnd.below(50),
      ...(rnd.next() < 0.8 ? { in_network: rnd.next() < 0.5 } : {}),
    });
    if (rnd.next() < 0.5)
      out.push({
        ...shared,
        type: "engagement",
        time_ms: timeMs + delay(20_000),
        head: "dwell_seconds",
        value: 20 * rnd.next(),
      });
    for (const head of HEADS) {
      if (rnd.next() > 0.2) continue;
      const actedMs = timeMs + delay(60_000);
      out.push({ ...shared, type: "engagement", time_ms: actedMs, head });
      if (rnd.next() < 0.1)
        out.push({ ...shared, type: "engagement", time_ms: actedMs + 5000, head, undo: true });
    }
  }
  if (options.deletions) {
    for (let i = 0; i < posts / 10; i++)
      out.push({ type: "post_deleted", time_ms: at(), post_id: one(made).id });
    out.push({ type: "user_deleted", time_ms: at(span / 2), user_id: user() });
  }
  return (out.map((event) => EventSchema.parse(event)) as Event[]).sort(
    (a, b) => a.time_ms - b.time_ms,
  );
}
