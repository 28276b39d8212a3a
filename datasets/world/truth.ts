import { random } from "../random.ts";
import { expectedDwellSeconds } from "./dwell.ts";
import { follows, likeness } from "./graph.ts";
import type { Population } from "./population.ts";
import { AUTHOR_SHARE, NO_MEDIA, PHOTO, VIDEO } from "./posts.ts";
import {
  DWELL,
  FAVORITE,
  FOLLOW_AUTHOR,
  NEGATIVE_SCALE,
  PHOTO_EXPAND,
  REPLY,
  REPLY_ENGAGED,
  RESPONSES,
  TERM_COUNT,
  VIDEO_VIEW,
} from "./responses.ts";
import { DAY_MS, HOUR_MS, WORLD_START_MS } from "./settings.ts";
import { TOPIC_COUNT } from "./topics.ts";
import { STYLE_SIZE } from "./users.ts";

const HEADS = RESPONSES.length;
/** Posts shown earlier in the session that tire by one unit. */
const FATIGUE_SCALE = 30;
const LANGUAGE_PENALTY = 1.2;
/** Interest that stays however old a post is. */
const LASTING = 0.15;
/** Share of the interests that has moved to the drift's target after a day. */
const DRIFT_PER_DAY = 0.06;
const LONGEST_DRIFT = 0.5;
const TIE_SD = 0.5;

/** The moment at which somebody meets posts. */
export interface Meeting {
  timeMs: number;
  /** Posts seen earlier in the same session. */
  shownBefore: number;
  follows(author: number): boolean;
  /** Times that this person saw the author before. */
  exposures(author: number): number;
}

/** The true response of people to posts. Reuses its buffers: one viewer at a time, not re-entrant. */
export interface Truth {
  /** [responses], logits at all-zero terms. */
  readonly intercepts: Float64Array;
  /** Sets the viewer for the calls that follow. */
  meet(user: number, meeting: Meeting): void;
  /**
   * Writes the probability of each response to `post` at `offset`. `reply_engaged_by_author` is for a reply *and* its
   * answer. With `visibleOnly` the post's hidden parts stand at their expectation given what is visible.
   */
  probabilities(post: number, into: Float64Array, offset: number, visibleOnly?: boolean): void;
  /** Logits without intercepts and the freshness factors of the last `probabilities` call, for calibration. */
  readonly lastLogits: Float64Array;
  readonly lastFreshness: Float64Array;
}

export function createTruth(population: Population): Truth {
  const { users, posts, graph, seed } = population;
  const intercepts = new Float64Array(HEADS);
  const weights = Float64Array.from(RESPONSES.flatMap((r) => r.weights)); // [responses, terms]
  const decay = Float64Array.from(RESPONSES, (r) => -Math.LN2 / (r.halfLifeHours * HOUR_MS));
  const negatives = RESPONSES.flatMap((r, h) => (r.negative ? [h] : []));
  const terms = new Float64Array(TERM_COUNT);
  const direction = new Float64Array(TOPIC_COUNT);
  const ofViewer = new Float64Array(HEADS);
  const lastLogits = new Float64Array(HEADS);
  const lastFreshness = new Float64Array(HEADS);
  let viewer = 0;
  let meeting: Meeting = { timeMs: 0, shownBefore: 0, follows: () => false, exposures: () => 0 };
  for (let h = 0; h < HEADS; h++) {
    const rate = RESPONSES[h]!.meanRate;
    intercepts[h] = Math.log(rate / (1 - rate)) - 0.5;
  }

  /** Cosine of the viewer's present interests and the post's topic mix. */
  const cosine = (post: number): number => {
    const base = posts.author[post]! * TOPIC_COUNT;
    const topic = posts.topic[post]!;
    let dot = 0;
    let square = 0;
    for (let k = 0; k < TOPIC_COUNT; k++) {
      const share = users.interests[base + k]!;
      dot += direction[k]! * share;
      square += share * share;
    }
    const single = 1 - AUTHOR_SHARE;
    const ofTopic = users.interests[base + topic]!;
    const length = Math.sqrt(
      AUTHOR_SHARE ** 2 * square + single ** 2 + 2 * AUTHOR_SHARE * single * ofTopic,
    );
    return (AUTHOR_SHARE * dot + single * direction[topic]!) / length;
  };

  /** Strength of a followed relation, 0–3: mutual and alike people are closer, the rest is their own story. */
  const tie = (author: number): number => {
    const own = TIE_SD * random(seed, "tie", viewer, author).normal();
    const mutual = follows(graph, author, viewer) ? 0.9 : 0;
    const alike = 1.2 * (likeness(users, viewer, author) - 0.4);
    return Math.min(3, Math.max(0, 0.6 + mutual + alike + own));
  };

  const speaksLanguageOf = (post: number): boolean =>
    posts.language[post] === users.language[viewer] ||
    posts.language[post] === users.secondLanguage[viewer];

  return {
    intercepts,
    lastLogits,
    lastFreshness,

    meet(user, at) {
      viewer = user;
      meeting = at;
      const day = Math.max(0, Math.floor((at.timeMs - WORLD_START_MS) / DAY_MS));
      const moved = Math.min(LONGEST_DRIFT, DRIFT_PER_DAY * day);
      const base = user * TOPIC_COUNT;
      let square = 0;
      for (let k = 0; k < TOPIC_COUNT; k++) {
        const share = (1 - moved) * users.interests[base + k]! + moved * users.drift[base + k]!;
        direction[k] = share;
        square += share * share;
      }
      const scale = 1 / Math.sqrt(square);
      for (let k = 0; k < TOPIC_COUNT; k++) direction[k]! *= scale;
      for (let h = 0; h < HEADS; h++) {
        ofViewer[h] = RESPONSES[h]!.propensity * users.propensity[user * HEADS + h]!;
      }
      for (const h of negatives) ofViewer[h]! -= 0.4 * users.tolerance[user]!;
    },

    probabilities(post, into, offset, visibleOnly = false) {
      const author = posts.author[post]!;
      const match = Math.min(3, Math.max(-1, (cosine(post) - 0.22) / 0.25));
      const quality = (visibleOnly ? posts.expectedQuality : posts.quality)[post]!;
      const controversy = (visibleOnly ? posts.expectedControversy : posts.controversy)[post]!;
      const toxicity = (visibleOnly ? posts.expectedToxicity : posts.toxicity)[post]!;
      const isFollowed = meeting.follows(author);
      const closeness = isFollowed ? tie(author) : 0;
      const media = posts.media[post]!;
      let style = 0;
      for (let i = 0; i < STYLE_SIZE; i++) {
        style +=
          users.authorStyle[author * STYLE_SIZE + i]! * users.style[viewer * STYLE_SIZE + i]!;
      }
      terms[0] = match - (speaksLanguageOf(post) ? 0 : LANGUAGE_PENALTY);
      terms[1] = quality;
      terms[2] = closeness;
      terms[3] = isFollowed ? 1 : 0;
      terms[4] = media === NO_MEDIA ? 0 : users.mediaTaste[viewer * 2 + media - 1]!;
      terms[5] = meeting.shownBefore / FATIGUE_SCALE;
      terms[6] = style;
      terms[7] = controversy;
      terms[8] = toxicity;

      for (let h = 0; h < HEADS; h++) {
        let logit = ofViewer[h]!;
        const row = h * TERM_COUNT;
        for (let i = 0; i < TERM_COUNT; i++) logit += weights[row + i]! * terms[i]!;
        lastLogits[h] = logit;
      }
      lastLogits[FAVORITE]! += 0.15 * match * quality;
      lastLogits[REPLY]! += 0.25 * closeness * Math.max(controversy, 0);
      lastLogits[REPLY_ENGAGED]! += 0.8 * users.responsiveness[author]!;
      const tired =
        NEGATIVE_SCALE *
        0.25 *
        Math.log1p(meeting.exposures(author)) *
        Math.max(1 - match, 0) *
        (isFollowed ? 0.5 : 1);
      for (const h of negatives) lastLogits[h]! += tired;

      const ageMs = Math.max(0, meeting.timeMs - posts.createdMs[post]!);
      for (let h = 0; h < HEADS; h++) {
        const fresh = LASTING + (1 - LASTING) * Math.exp(decay[h]! * ageMs);
        lastFreshness[h] = fresh;
        into[offset + h] = fresh / (1 + Math.exp(-intercepts[h]! - lastLogits[h]!));
      }
      if (media !== PHOTO) into[offset + PHOTO_EXPAND] = 0;
      if (media !== VIDEO) into[offset + VIDEO_VIEW] = 0;
      if (isFollowed) into[offset + FOLLOW_AUTHOR] = 0;
      into[offset + REPLY_ENGAGED]! *= into[offset + REPLY]!;
    },
  };
}

/** Widens [responses] to the order of WORLD_HEADS, which has the expected seconds after `dwell`. */
export function toWorldHeads(
  responses: Float64Array,
  from: number,
  into: Float64Array,
  to: number,
): void {
  for (let h = 0; h <= DWELL; h++) into[to + h] = responses[from + h]!;
  into[to + DWELL + 1] = expectedDwellSeconds(responses[from + DWELL]!);
  for (let h = DWELL + 1; h < HEADS; h++) into[to + h + 1] = responses[from + h]!;
}
