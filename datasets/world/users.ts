import { snowflake } from "../ids.ts";
import { random, shuffle } from "../random.ts";
import { addProfile, type Communities, drawInterest } from "./interests.ts";
import { RESPONSES } from "./responses.ts";
import { DAY_MS, WORLD_START_MS, type WorldSettings } from "./settings.ts";
import { TOPIC_COUNT } from "./topics.ts";

export const STYLE_SIZE = 4;
export const REGULAR = 0;
export const NEWCOMER = 1;
export const RETURNER = 2;

/** Of everyone, who joins within the log and who comes back to it after more than a week away: 15–25 % of a day's visitors. */
const NEWCOMER_SHARE = 0.19;
const RETURNER_SHARE = 0.23;
/** Log-normal spread of activity. Source: variant V of the world's prototype. */
const ACTIVITY_SD = 1.25;
/** Accounts of before the log are up to two years old. */
const OLDEST_ACCOUNT_DAYS = 730;

/** Everyone, as columns by dense index; the first `authors` indices are those who post. Latents unless marked visible. */
export interface Users {
  readonly count: number;
  readonly authors: number;
  /** Visible. */
  readonly ids: readonly string[];
  readonly indexOf: ReadonlyMap<string, number>;
  /** Visible. */
  readonly createdMs: Float64Array;
  /** Visible: days between the last visit before the log and its first day; NaN for newcomers. */
  readonly daysAway: Float64Array;
  /** REGULAR, NEWCOMER or RETURNER. */
  readonly kind: Uint8Array;
  /** Day of joining or coming back; 0 for regulars. */
  readonly firstDay: Uint8Array;
  /** Row-major [users, topics], shares summing to 1, as of day 0. */
  readonly interests: Float32Array;
  /** Row-major [users, topics]: what the interests drift towards. */
  readonly drift: Float32Array;
  /** Row-major [users, topics]: unit-length `interests`. */
  readonly direction: Float32Array;
  /** Visible. Index into LANGUAGES: the main one. */
  readonly language: Uint8Array;
  /** Visible. A second language, or the main one again. */
  readonly secondLanguage: Uint8Array;
  /** Row-major [users, 4]: taste in style. */
  readonly style: Float32Array;
  /** Row-major [users, 2]: taste for photos and videos. */
  readonly mediaTaste: Float32Array;
  readonly tolerance: Float32Array;
  /** Row-major [users, responses]. */
  readonly propensity: Float32Array;
  readonly activity: Float32Array;
  /** Visible. */
  readonly utcOffsetMinutes: Int16Array;
  /** [authors]. */
  readonly quality: Float32Array;
  /** [authors]: how readily an author answers replies. */
  readonly responsiveness: Float32Array;
  /** Row-major [authors, 4]. */
  readonly authorStyle: Float32Array;
  /** [users]: weight of being followed. */
  readonly popularity: Float64Array;
}

/** Offsets of the user's wall clock and their shares. */
const OFFSETS = [0, 360, 540] as const;

export function createUsers(
  settings: WorldSettings,
  seed: number,
  communities: Communities,
): Users {
  const { users: count, authors, days } = settings;
  const heads = RESPONSES.length;
  const users = {
    count,
    authors,
    createdMs: new Float64Array(count),
    daysAway: new Float64Array(count),
    kind: new Uint8Array(count),
    firstDay: new Uint8Array(count),
    interests: new Float32Array(count * TOPIC_COUNT),
    drift: new Float32Array(count * TOPIC_COUNT),
    direction: new Float32Array(count * TOPIC_COUNT),
    language: new Uint8Array(count),
    secondLanguage: new Uint8Array(count),
    style: new Float32Array(count * STYLE_SIZE),
    mediaTaste: new Float32Array(count * 2),
    tolerance: new Float32Array(count),
    propensity: new Float32Array(count * heads),
    activity: new Float32Array(count),
    utcOffsetMinutes: new Int16Array(count),
    quality: new Float32Array(authors),
    responsiveness: new Float32Array(authors),
    authorStyle: new Float32Array(authors * STYLE_SIZE),
    popularity: new Float64Array(count),
  };

  // Authors divide the quantiles of the power law among them: chance alone would move its tail by a third.
  const standing = shuffle(
    Array.from({ length: authors }, (_, a) => a),
    random(seed, "standing"),
  );
  for (let u = 0; u < count; u++) {
    const source = random(seed, "user", u);
    const isAuthor = u < authors;
    const base = u * TOPIC_COUNT;
    const language = drawInterest(users.interests, base, communities, isAuthor ? 2 : 3, source);
    normalise(users.interests, users.direction, base);
    addProfile(users.drift, base, 1, 1, 2, source);
    users.language[u] = language;
    users.secondLanguage[u] = source.next() < 0.15 ? source.below(3) : language;

    for (let i = 0; i < STYLE_SIZE; i++) users.style[u * STYLE_SIZE + i] = source.normal() / 2;
    for (let i = 0; i < 2; i++) users.mediaTaste[u * 2 + i] = 0.8 * source.normal();
    users.tolerance[u] = source.normal();
    const general = 0.5 * source.normal();
    for (let h = 0; h < heads; h++)
      users.propensity[u * heads + h] = general + 0.85 * source.normal();
    users.activity[u] = Math.exp(ACTIVITY_SD * source.normal());
    const zone = source.next();
    users.utcOffsetMinutes[u] = OFFSETS[zone < 0.5 ? 0 : zone < 0.8 ? 1 : 2];

    const lot = source.next();
    const kind =
      isAuthor || lot >= NEWCOMER_SHARE + RETURNER_SHARE
        ? REGULAR
        : lot < NEWCOMER_SHARE
          ? NEWCOMER
          : RETURNER;
    users.kind[u] = kind;
    users.firstDay[u] = kind === REGULAR ? 0 : source.below(days);
    const age = (8 + source.next() * (OLDEST_ACCOUNT_DAYS - 8)) * DAY_MS;
    users.createdMs[u] = WORLD_START_MS - Math.floor(age);
    const awayLimit = age / DAY_MS;
    users.daysAway[u] =
      kind === RETURNER
        ? Math.min(awayLimit, 8 + Math.floor(source.exponential() * 15))
        : Math.min(awayLimit, 1 + Math.floor(source.exponential() * 1.2), 6);

    if (isAuthor) {
      users.quality[u] = source.normal();
      users.responsiveness[u] = source.normal();
      for (let i = 0; i < STYLE_SIZE; i++) users.authorStyle[u * STYLE_SIZE + i] = source.normal();
    }
    users.popularity[u] = isAuthor
      ? AUTHOR_PULL * ((standing[u]! + source.next()) / authors) ** (-1 / settings.popularityTail)
      : 0.25 * (1 - source.next()) ** (-1 / 1.6);
    if (kind === NEWCOMER) users.popularity[u] = 0;
  }
  limitTheMostPopular(users.popularity);
  placeNewcomers(users, seed);
  const ids = drawIds(users.createdMs, seed);
  return { ...users, ids, indexOf: new Map(ids.map((id, u) => [id, u])) };
}

/**
 * No account may draw more than this share of all follows. Without a limit the first few would be followed by nearly
 * everybody, which bends the tail; with it the most popular reach about a third.
 */
const LARGEST_PULL = 0.008;
/** The least popular author against the least popular reader (.25): what makes those who post stand out. */
const AUTHOR_PULL = 1.8;

function limitTheMostPopular(popularity: Float64Array): void {
  const total = popularity.reduce((a, b) => a + b, 0);
  for (let u = 0; u < popularity.length; u++) {
    popularity[u] = Math.min(popularity[u]!, LARGEST_PULL * total);
  }
}

/** Newcomers join within their first day; the visit begins right after. */
function placeNewcomers(
  users: {
    kind: Uint8Array;
    firstDay: Uint8Array;
    createdMs: Float64Array;
    daysAway: Float64Array;
  },
  seed: number,
): void {
  for (let u = 0; u < users.kind.length; u++) {
    if (users.kind[u] !== NEWCOMER) continue;
    const within = random(seed, "joined", u).next() * 0.93;
    users.createdMs[u] = WORLD_START_MS + Math.floor((users.firstDay[u]! + within) * DAY_MS);
    users.daysAway[u] = Number.NaN;
  }
}

/** Ids whose low bits are shuffled, so that an id does not tell who posts. */
function drawIds(createdMs: Float64Array, seed: number): string[] {
  const order = shuffle(
    Array.from(createdMs, (_, u) => u),
    random(seed, "user-ids"),
  );
  return Array.from(createdMs, (time, u) => snowflake(time, order[u]!));
}

/** Unit length of the [topics] vector at `offset`. */
function normalise(from: Float32Array, into: Float32Array, offset: number): void {
  let sum = 0;
  for (let k = 0; k < TOPIC_COUNT; k++) sum += from[offset + k]! ** 2;
  const scale = 1 / Math.sqrt(sum);
  for (let k = 0; k < TOPIC_COUNT; k++) into[offset + k] = from[offset + k]! * scale;
}
