import { random } from "../random.ts";
import { type MutablePosts, NO_LABEL, NO_MEDIA, PHOTO, VIDEO } from "./posts.ts";
import { HOUR_MS, WORLD_START_MS } from "./settings.ts";
import { TOPIC_COUNT } from "./topics.ts";
import type { Users } from "./users.ts";

/** Share of posts on the topic that trends in their six hours. */
const TRENDING_SHARE = 0.12;
const TREND_HOURS = 6;

/** Labels: wrong topic, no topic. Together the 20–30 % noise that models must live with. */
const LABEL_WRONG = 0.12;
const LABEL_MISSING = 0.13;

/** Spread of the noise on visible attributes, and of the parts that only feedback reveals. */
const ATTRIBUTE_NOISE_SD = 0.3;
const HIDDEN_QUALITY_SD = 0.38;
const HIDDEN_CONTROVERSY_SD = 0.4;
const AUTHOR_QUALITY = 0.7;
const VISIBLE_QUALITY = 0.62;
const VISIBLE_CONTROVERSY = 0.9;

/** Toxic posts: how many, how much, and how often a safety label catches them or errs. */
const TOXIC_SHARE = 0.03;
const TOXIC_LEVEL = 2.5;
const BACKGROUND_TOXICITY_SD = 0.5;
const LABEL_CATCHES = 0.8;
const LABEL_FALSE_ALARM = 0.007;

/** Draws what a post is about and how good it is, and what of that shows. */
export function drawContent(posts: MutablePosts, seed: number, users: Users, p: number): void {
  const source = random(seed, "post", p);
  const author = posts.author[p]!;
  posts.topic[p] = drawTopic(posts, seed, users, p, source.next(), source.next());

  const label = source.next();
  posts.label[p] =
    label < LABEL_WRONG
      ? source.below(TOPIC_COUNT)
      : label < LABEL_WRONG + LABEL_MISSING
        ? NO_LABEL
        : posts.topic[p]!;

  const attributeShare = 1 / (1 + ATTRIBUTE_NOISE_SD ** 2);
  const visibleQuality = source.normal();
  const quality = visibleQuality + ATTRIBUTE_NOISE_SD * source.normal();
  const ofAuthor = AUTHOR_QUALITY * users.quality[author]!;
  posts.quality[p] =
    ofAuthor + VISIBLE_QUALITY * visibleQuality + HIDDEN_QUALITY_SD * source.normal();
  posts.expectedQuality[p] = ofAuthor + VISIBLE_QUALITY * attributeShare * quality;
  posts.qualityAttribute[p] = quality;

  const visibleControversy = source.normal();
  const controversy = visibleControversy + ATTRIBUTE_NOISE_SD * source.normal();
  posts.controversy[p] =
    VISIBLE_CONTROVERSY * visibleControversy + HIDDEN_CONTROVERSY_SD * source.normal();
  posts.expectedControversy[p] = VISIBLE_CONTROVERSY * attributeShare * controversy;
  posts.controversyAttribute[p] = controversy;

  const isToxic = source.next() < TOXIC_SHARE;
  posts.toxicity[p] = (isToxic ? TOXIC_LEVEL : 0) + BACKGROUND_TOXICITY_SD * source.normal();
  const isLabelled = source.next() < (isToxic ? LABEL_CATCHES : LABEL_FALSE_ALARM);
  posts.safetyLabel[p] = isLabelled ? 1 + source.below(3) : 0;
  posts.expectedToxicity[p] = TOXIC_LEVEL * toxicGivenLabel(isLabelled);

  const media = source.next();
  posts.media[p] = media < 0.5 ? NO_MEDIA : media < 0.82 ? PHOTO : VIDEO;
  const seconds = Math.exp(3.2 + 0.9 * source.normal());
  posts.videoMs[p] = posts.media[p] === VIDEO ? Math.round(1000 * Math.max(1, seconds)) : 0;
  posts.language[p] = users.language[author]!;
}

/** Bayes: how likely a post is toxic given whether it carries a safety label. */
function toxicGivenLabel(isLabelled: boolean): number {
  const toxic = TOXIC_SHARE * (isLabelled ? LABEL_CATCHES : 1 - LABEL_CATCHES);
  const clean = (1 - TOXIC_SHARE) * (isLabelled ? LABEL_FALSE_ALARM : 1 - LABEL_FALSE_ALARM);
  return toxic / (toxic + clean);
}

function drawTopic(
  posts: MutablePosts,
  seed: number,
  users: Users,
  p: number,
  whether: number,
  which: number,
): number {
  if (posts.parent[p]! >= 0 && whether > 0.4) return posts.topic[posts.parent[p]!]!;
  if (whether < TRENDING_SHARE) {
    const period = Math.floor((posts.createdMs[p]! - WORLD_START_MS) / (TREND_HOURS * HOUR_MS));
    return random(seed, "trend", period).below(TOPIC_COUNT);
  }
  const base = posts.author[p]! * TOPIC_COUNT;
  let left = which;
  for (let k = 0; k < TOPIC_COUNT; k++) {
    left -= users.interests[base + k]!;
    if (left < 0) return k;
  }
  return TOPIC_COUNT - 1;
}

/** A repost shows the original's content. */
export function copyContent(posts: MutablePosts, from: number, to: number): void {
  posts.topic[to] = posts.topic[from]!;
  posts.label[to] = posts.label[from]!;
  posts.quality[to] = posts.quality[from]!;
  posts.expectedQuality[to] = posts.expectedQuality[from]!;
  posts.controversy[to] = posts.controversy[from]!;
  posts.expectedControversy[to] = posts.expectedControversy[from]!;
  posts.toxicity[to] = posts.toxicity[from]!;
  posts.expectedToxicity[to] = posts.expectedToxicity[from]!;
  posts.qualityAttribute[to] = posts.qualityAttribute[from]!;
  posts.controversyAttribute[to] = posts.controversyAttribute[from]!;
  posts.safetyLabel[to] = posts.safetyLabel[from]!;
  posts.media[to] = posts.media[from]!;
  posts.videoMs[to] = posts.videoMs[from]!;
  posts.language[to] = posts.language[from]!;
}
