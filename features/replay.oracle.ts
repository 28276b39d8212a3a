/**
 * What replay must give, computed the slow way: every value from the raw list of events before the row, by formulas
 * written anew. Nothing of the counters, families or the engine is used.
 */
import type { Event, EventOf } from "../datasets/events.ts";
import type { Head } from "../datasets/heads.ts";

const DAY = 86_400_000;
const HOUR = 3_600_000;
const LIFE: Record<string, number> = { "30m": 30 * 60_000, "1d": DAY, "50d": 50 * DAY };
const WELCOME: Record<string, number> = {
  click: 0.5,
  dwell: 0.5,
  long_view: 0.5,
  favorite: 1,
  reply: 1,
  not_interested: -2,
  block_author: -3,
};

type Impression = EventOf<"impression">;
type Signal = Impression | EventOf<"engagement">;
type Past = readonly Event[];

const isSignal = (event: Event): event is Signal =>
  event.type === "impression" || event.type === "engagement";

/**
 * Feature name → one value per impression of `events`, which are in time order. Features of topics only where no post has
 * text: then a post's topics are its labels in equal parts.
 */
export function bruteForceFeatures(events: Past): Map<string, number[]> {
  const impressions = events.filter((event) => event.type === "impression");
  const worlds = impressions.map((row) => alive(events.filter((e) => e.time_ms < row.time_ms)));
  const wordless = events.every((event) => event.type !== "post_created" || event.text === "");
  const formulas = Object.entries({
    ...FORMULAS,
    ...(wordless ? TOPIC_FORMULAS : {}),
  }).filter(([name]) => !wordless || name !== "post.words");
  return new Map(
    formulas.map(([name, formula]) => [
      name,
      impressions.map((row, i) => formula(worlds[i] as World, row)),
    ]),
  );
}

/** When subjects were last forgotten: `user 1`, `post 2` → index in `past`. A user takes along the posts that exist. */
function alive(past: Past): { past: Past; deletedAt: Map<string, number> } {
  const deletedAt = new Map<string, number>();
  const authorOf = new Map<string, string>();
  past.forEach((event, i) => {
    if (event.type === "post_created" && !authorOf.has(event.post_id))
      authorOf.set(event.post_id, event.author_id);
    if (event.type === "post_deleted") {
      deletedAt.set(`post ${event.post_id}`, i);
      authorOf.delete(event.post_id);
    }
    if (event.type !== "user_deleted") return;
    deletedAt.set(`user ${event.user_id}`, i);
    for (const [post, author] of authorOf)
      if (author === event.user_id) {
        deletedAt.set(`post ${post}`, i);
        authorOf.delete(post);
      }
  });
  return { past, deletedAt };
}
type World = ReturnType<typeof alive>;

/** The events after the last deletion of these subjects. */
const since = (world: World, ...subjects: string[]): Past =>
  world.past.slice(1 + Math.max(-1, ...subjects.map((s) => world.deletedAt.get(s) ?? -1)));

function total(
  past: Past,
  signal: string,
  life: string,
  nowMs: number,
  of: (e: Signal) => boolean,
) {
  let sum = 0;
  for (const event of past) {
    if (!isSignal(event) || !of(event)) continue;
    const sign = event.type === "engagement" && event.undo ? -1 : 1;
    const amount =
      event.type === "impression"
        ? Number(signal === "impression")
        : signal === "interest"
          ? (WELCOME[event.head] ?? 0)
          : event.head === signal
            ? (event.value ?? 1)
            : 0;
    sum += sign * amount * 2 ** (-(nowMs - event.time_ms) / (LIFE[life] as number));
  }
  return sum;
}

/** Smoothed rate against everybody's. */
function rate(
  world: World,
  past: Past,
  row: Impression,
  signal: string,
  life: string,
  strength: number,
  of: (e: Signal) => boolean,
): number {
  const n = total(past, "impression", life, row.time_ms, of);
  if (n <= 1e-9) return Number.NaN;
  const everybody = () => true;
  const prior =
    total(world.past, signal, "50d", row.time_ms, everybody) /
    total(world.past, "impression", "50d", row.time_ms, everybody);
  const count = total(past, signal, life, row.time_ms, of);
  if (signal === "interest") return (count + strength * prior) / (n + strength) - prior;
  if (!(prior > 0)) return Number.NaN;
  const scale = signal === "dwell_seconds" ? 0.1 : 1;
  // The prior stands for half an event at the least.
  const weight = Math.max(strength, 0.5 / (prior * scale));
  const smoothed =
    (Math.max(0, count * scale) + weight * prior * scale) / (n + weight) / (prior * scale);
  return Math.log(smoothed);
}

const mine = (row: Impression) => (e: Signal) => e.user_id === row.user_id;
const ofPost = (row: Impression) => (e: Signal) => e.post_id === row.post_id;
const ofAuthor = (row: Impression) => (e: Signal) =>
  row.author_id !== undefined && e.author_id === row.author_id;
const ofPair = (row: Impression) => (e: Signal) => mine(row)(e) && ofAuthor(row)(e);
const counted = (n: number): number => (n > 1e-9 ? n : Number.NaN);

/** The follow or unfollow that holds between two users. */
function relation(world: World, from: string, to: string | undefined) {
  return since(world, `user ${from}`, `user ${to}`).findLast(
    (e): e is EventOf<"follow"> =>
      (e.type === "follow" || e.type === "unfollow") && e.user_id === from && e.target_id === to,
  );
}

function followCount(world: World, side: "user_id" | "target_id", user: string): number {
  const others = new Set<string>();
  for (const event of world.past)
    if (event.type === "follow" && event[side] === user)
      others.add(side === "user_id" ? event.target_id : event.user_id);
  return [...others].filter((other) => {
    const [from, to] = side === "user_id" ? [user, other] : [other, user];
    return relation(world, from, to)?.type === "follow";
  }).length;
}

const profile = (world: World, user: string | undefined) =>
  since(world, `user ${user}`).findLast(
    (e): e is EventOf<"user_created"> => e.type === "user_created" && e.user_id === user,
  );
const content = (world: World, row: Impression) =>
  since(world, `post ${row.post_id}`).find(
    (e): e is EventOf<"post_created"> => e.type === "post_created" && e.post_id === row.post_id,
  );

function session(world: World, row: Impression): { count: number; minutes: number } | undefined {
  const times = since(world, `user ${row.user_id}`)
    .filter((e) => e.type === "impression" && e.user_id === row.user_id)
    .map((e) => e.time_ms);
  const known =
    times.length > 0 ||
    since(world, `user ${row.user_id}`).some(
      (e) =>
        ((e.type === "user_created" || e.type === "engagement") && e.user_id === row.user_id) ||
        (e.type === "follow" && e.user_id === row.user_id),
    );
  if (!known) return undefined;
  if (times.length === 0 || row.time_ms - (times.at(-1) as number) > 30 * 60_000)
    return { count: 0, minutes: 0 };
  let first = times.length - 1;
  while (first > 0 && (times[first] as number) - (times[first - 1] as number) <= 30 * 60_000)
    first--;
  return {
    count: times.length - first,
    minutes: (row.time_ms - (times[first] as number)) / 60_000,
  };
}

const FORMULAS: Record<string, (world: World, row: Impression) => number> = {
  "user.impressions_50d": (w, row) =>
    counted(total(since(w, `user ${row.user_id}`), "impression", "50d", row.time_ms, mine(row))),
  "user.impressions_30m": (w, row) =>
    counted(total(since(w, `user ${row.user_id}`), "impression", "30m", row.time_ms, mine(row))),
  "user.click_rate_50d": (w, row) =>
    rate(w, since(w, `user ${row.user_id}`), row, "click", "50d", 20, mine(row)),
  "user.interest_rate_1d": (w, row) =>
    rate(w, since(w, `user ${row.user_id}`), row, "interest", "1d", 20, mine(row)),
  "user.dwell_seconds_rate_50d": (w, row) =>
    rate(w, since(w, `user ${row.user_id}`), row, "dwell_seconds", "50d", 20, mine(row)),
  "post.impressions_1d": (w, row) =>
    counted(total(since(w, `post ${row.post_id}`), "impression", "1d", row.time_ms, ofPost(row))),
  "post.favorite_rate_1d": (w, row) =>
    rate(w, since(w, `post ${row.post_id}`), row, "favorite", "1d", 15, ofPost(row)),
  "author.long_view_rate_50d": (w, row) =>
    rate(w, since(w, `user ${row.author_id}`), row, "long_view", "50d", 30, ofAuthor(row)),
  "author.favorite_rate_30m": (w, row) =>
    rate(w, since(w, `user ${row.author_id}`), row, "favorite", "30m", 30, ofAuthor(row)),
  "user_author.click_rate_50d": (w, row) =>
    rate(
      w,
      since(w, `user ${row.user_id}`, `user ${row.author_id}`),
      row,
      "click",
      "50d",
      4,
      ofPair(row),
    ),
  "user_author.interest_1d": (w, row) =>
    rate(
      w,
      since(w, `user ${row.user_id}`, `user ${row.author_id}`),
      row,
      "interest",
      "1d",
      4,
      ofPair(row),
    ),
  "user_author.hours_since_seen": (w, row) => {
    const last = since(w, `user ${row.user_id}`, `user ${row.author_id}`).findLast(
      (e) => e.type === "impression" && ofPair(row)(e),
    );
    return last === undefined ? Number.NaN : (row.time_ms - last.time_ms) / HOUR;
  },
  "user_author.follows": (w, row) =>
    row.author_id === undefined
      ? Number.NaN
      : Number(relation(w, row.user_id, row.author_id)?.type === "follow"),
  "user_author.followed_by": (w, row) =>
    row.author_id === undefined
      ? Number.NaN
      : Number(relation(w, row.author_id, row.user_id)?.type === "follow"),
  "user_author.days_followed": (w, row) => {
    const newest = relation(w, row.user_id, row.author_id);
    return newest?.type === "follow" ? (row.time_ms - newest.time_ms) / DAY : Number.NaN;
  },
  "author.posts_1d": (w, row) => {
    const past = since(w, `user ${row.author_id}`);
    const posts = past.filter((e) => e.type === "post_created" && e.author_id === row.author_id);
    if (posts.length === 0 && profile(w, row.author_id) === undefined) return Number.NaN;
    return posts.reduce((sum, e) => sum + 2 ** (-(row.time_ms - e.time_ms) / DAY), 0);
  },
  "author.reply_share": (w, row) => {
    const posts = since(w, `user ${row.author_id}`).filter(
      (e) => e.type === "post_created" && e.author_id === row.author_id,
    );
    return (
      posts.filter((e) => e.type === "post_created" && e.in_reply_to_post_id !== undefined).length /
      posts.length
    );
  },
  "user.session_impressions": (w, row) => session(w, row)?.count ?? Number.NaN,
  "user.session_minutes": (w, row) => session(w, row)?.minutes ?? Number.NaN,
  "post.age_hours": (w, row) => {
    const post = content(w, row);
    return post === undefined ? Number.NaN : (row.time_ms - post.time_ms) / HOUR;
  },
  "post.words": (w, row) => {
    const words = (content(w, row)?.text ?? "").split(" ").filter((word) => word !== "");
    return words.length === 0 ? Number.NaN : words.length;
  },
  "post.video_seconds": (w, row) => (content(w, row)?.video_ms ?? Number.NaN) / 1000,
  "user_post.language_match": (w, row) => {
    const spoken = profile(w, row.user_id)?.languages ?? [];
    const written = content(w, row)?.language;
    return written === undefined || spoken.length === 0
      ? Number.NaN
      : Number(spoken.includes(written));
  },
  "context.hour_sin": (w, row) => {
    const minutes = profile(w, row.user_id)?.utc_offset_minutes ?? 0;
    const local = new Date(row.time_ms + minutes * 60_000);
    return Math.sin((2 * Math.PI * (local.getTime() - local.setUTCHours(0, 0, 0, 0))) / DAY);
  },
  "context.day_of_week": (w, row) => {
    const minutes = profile(w, row.user_id)?.utc_offset_minutes ?? 0;
    return (new Date(row.time_ms + minutes * 60_000).getUTCDay() + 6) % 7;
  },
  "user.account_age_days": (w, row) =>
    (row.time_ms - (profile(w, row.user_id)?.time_ms ?? Number.NaN)) / DAY,
  "user.following": (w, row) => {
    const n = followCount(w, "user_id", row.user_id);
    return n > 0 || profile(w, row.user_id) !== undefined ? n : Number.NaN;
  },
  "author.followers": (w, row) => {
    if (row.author_id === undefined) return Number.NaN;
    const n = followCount(w, "target_id", row.author_id);
    return n > 0 || profile(w, row.author_id) !== undefined ? n : Number.NaN;
  },
  "surface.click_rate_50d": (w, row) =>
    row.surface === undefined
      ? Number.NaN
      : rate(w, w.past, row, "click", "50d", 50, (e) => e.surface === row.surface),
};

/**
 * A post's labels, each with its part, or those of the post that it reposts; empty for a post that is not known (yet).
 */
function topicsOf(past: Past, postId: string): Map<string, number> {
  const at = past.findIndex((e) => e.type === "post_created" && e.post_id === postId);
  const post = past[at];
  if (post?.type !== "post_created") return new Map();
  const original = post.repost_of_post_id;
  const copied = original === undefined ? undefined : topicsOf(past.slice(0, at), original);
  if (copied !== undefined && copied.size > 0) return copied;
  const labels = new Set(post.topics);
  return new Map([...labels].map((label) => [label, 1 / labels.size]));
}

/** Signals weighted by the part of a topic in their post, as far as the post was known when they came. */
function topicTotal(
  past: Past,
  topic: string,
  signal: string,
  life: string,
  nowMs: number,
  of: (e: Signal) => boolean,
): number {
  const known = new Map<string, number>();
  let sum = 0;
  for (const event of past) {
    if (event.type === "post_created" && !known.has(event.post_id))
      known.set(event.post_id, topicsOf(past, event.post_id).get(topic) ?? 0);
    const part = isSignal(event) ? known.get(event.post_id) : undefined;
    if (part !== undefined) sum += part * total([event], signal, life, nowMs, of);
  }
  return sum;
}

/** Mean over the row's topics of a rate, by their parts, as far as the topic was shown to these viewers. */
function topicRates(
  signal: string,
  life: string,
  strength: number,
  viewers: (row: Impression) => (e: Signal) => boolean,
): (world: World, row: Impression) => { part: number; rate: number }[] {
  return (world, row) => {
    const count = (topic: string | undefined, what: string, of: (e: Signal) => boolean) =>
      topic === undefined
        ? total(world.past, what, "50d", row.time_ms, of)
        : topicTotal(world.past, topic, what, life, row.time_ms, of);
    const everybody = () => true;
    const prior = count(undefined, signal, everybody) / count(undefined, "impression", everybody);
    return [...topicsOf(world.past, row.post_id)].flatMap(([topic, part]) => {
      const n = count(topic, "impression", viewers(row));
      if (n <= 1e-9) return [];
      const k = count(topic, signal, viewers(row));
      const weight = Math.max(strength, 0.5 / prior);
      const rate =
        signal === "interest"
          ? (k + strength * prior) / (n + strength) - prior
          : prior > 0
            ? Math.log((Math.max(0, k) + weight * prior) / (n + weight) / prior)
            : Number.NaN;
      return [{ part, rate }];
    });
  };
}
const mean = (rates: readonly { part: number; rate: number }[]): number =>
  rates.reduce((sum, { part, rate }) => sum + part * rate, 0) /
  rates.reduce((sum, { part }) => sum + part, 0);
const anybody = () => () => true;

const TOPIC_FORMULAS: typeof FORMULAS = {
  "user_topic.interest_rate_30m": (w, row) => mean(topicRates("interest", "30m", 6, mine)(w, row)),
  "topic.favorite_rate_30m": (w, row) => mean(topicRates("favorite", "30m", 50, anybody)(w, row)),
  "user_topic.interest_rate_1d": (w, row) => mean(topicRates("interest", "1d", 6, mine)(w, row)),
  "user_topic.click_rate_50d": (w, row) => mean(topicRates("click", "50d", 6, mine)(w, row)),
  "user_topic.best_interest_50d": (w, row) => {
    const rates = topicRates("interest", "50d", 6, mine)(w, row).map(({ rate }) => rate);
    return rates.length === 0 ? Number.NaN : Math.max(...rates);
  },
  "user_topic.impressions_50d": (w, row) =>
    counted(
      [...topicsOf(w.past, row.post_id)].reduce(
        (sum, [topic, part]) =>
          sum + part * topicTotal(w.past, topic, "impression", "50d", row.time_ms, mine(row)),
        0,
      ),
    ),
  "topic.favorite_rate_1d": (w, row) => mean(topicRates("favorite", "1d", 50, anybody)(w, row)),
  "topic.posts_30m": (w, row) => {
    const posts = w.past.filter((e) => e.type === "post_created");
    const topics = [...topicsOf(w.past, row.post_id)];
    if (topics.length === 0) return Number.NaN;
    return topics.reduce(
      (sum, [topic, part]) =>
        sum +
        part *
          posts
            .filter((e) => topicsOf(w.past, e.post_id).has(topic))
            .reduce((n, e) => n + 2 ** (-(row.time_ms - e.time_ms) / (LIFE["30m"] as number)), 0),
      0,
    );
  },
  "user_media.favorite_rate_50d": (w, row) => {
    const media = content(w, row)?.media;
    if (media === undefined) return Number.NaN;
    // Signals that came before their post's record are of no known media.
    const past = w.past.filter(
      (e, i) =>
        isSignal(e) &&
        w.past.some(
          (p, j) =>
            j < i && p.type === "post_created" && p.post_id === e.post_id && p.media === media,
        ),
    );
    return rate(w, past, row, "favorite", "50d", 10, mine(row));
  },
};

/** The labels that an impression must have. */
export function bruteForceLabels(
  events: Past,
  impression: Impression,
  heads: readonly Head[],
): number[] {
  const before = alive(events.filter((event) => event.time_ms < impression.time_ms));
  const post = content(before, impression);
  const own = events.filter(
    (event) =>
      event.type === "engagement" &&
      event.request_id === impression.request_id &&
      event.user_id === impression.user_id &&
      event.post_id === impression.post_id,
  );
  return heads.map((head) => bruteForceLabel(own, impression, post, head));
}

function bruteForceLabel(
  own: Past,
  impression: Impression,
  post: EventOf<"post_created"> | undefined,
  head: Head,
): number {
  const open =
    head.gate === undefined ||
    (head.gate === "has_photo" && post?.media === "photo") ||
    (head.gate === "has_video" && post?.media === "video") ||
    (head.gate === "has_quote" && post?.quote_of_post_id !== undefined) ||
    (head.gate === "out_of_network" && impression.in_network !== true) ||
    (head.gate === "in_network" && impression.in_network !== false);
  if (!open) return Number.NaN;
  const last = own.findLast(
    (event): event is EventOf<"engagement"> =>
      event.type === "engagement" && event.head === head.name,
  );
  return last === undefined || last.undo ? 0 : Math.fround(last.value ?? 1);
}
