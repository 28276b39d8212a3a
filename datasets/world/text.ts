import { type Random, random } from "../random.ts";
import { AUTHOR_SHARE, type Posts, REPOST_POST } from "./posts.ts";
import { TOPIC_COUNT } from "./topics.ts";
import type { Users } from "./users.ts";
import { weightedDraw, zipf } from "./weighted-draw.ts";

/** Words a topic has, and words a language has whatever the topic. */
const VOCABULARY = 200;
const TAGS_PER_TOPIC = 12;
/** Share of words that say nothing about the topic. */
const COMMON_SHARE = 0.4;
const HASHTAG_SHARE = 0.3;
/** Share of hashtags that belong to some other topic. */
const STRAY_HASHTAG = 0.15;
const SHORTEST = 8;
const LONGEST = 14;

const words = weightedDraw(zipf(VOCABULARY, 1));
const tags = weightedDraw(zipf(TAGS_PER_TOPIC, 1));
const CONSONANTS = "bdfgklmnprst";
const VOWELS = "aeiou";
const SYLLABLES = CONSONANTS.length * VOWELS.length;
/** Coprime to the number of words, so that neighbouring ranks look unlike and no two words are equal. */
const STRIDE = 7919;

/** The text of a post: 8–14 words from Zipfian vocabularies of its topics and its language, and hashtags. Reposts have none. */
export function postText(posts: Posts, users: Users, seed: number, post: number): string {
  if (posts.kind[post] === REPOST_POST) return "";
  const source = random(seed, "text", post);
  const length = SHORTEST + source.below(LONGEST - SHORTEST + 1);
  const parts: string[] = [];
  for (let i = 0; i < length; i++) {
    const isCommon = source.next() < COMMON_SHARE;
    const topic = drawTopic(posts, users, post, source);
    const rank = words.draw(source);
    parts.push(isCommon ? commonWord(posts.language[post]!, rank) : topicWord(topic, rank));
  }
  if (source.next() < HASHTAG_SHARE) {
    const count = 1 + source.below(2);
    for (let i = 0; i < count; i++) {
      const topic =
        source.next() < STRAY_HASHTAG
          ? source.below(TOPIC_COUNT)
          : drawTopic(posts, users, post, source);
      parts.push(`#${topicWord(topic, tags.draw(source))}`);
    }
  }
  return parts.join(" ");
}

/** One topic from the post's mix. */
function drawTopic(posts: Posts, users: Users, post: number, source: Random): number {
  if (source.next() >= AUTHOR_SHARE) return posts.topic[post]!;
  let left = source.next();
  const base = posts.author[post]! * TOPIC_COUNT;
  for (let k = 0; k < TOPIC_COUNT; k++) {
    left -= users.interests[base + k]!;
    if (left < 0) return k;
  }
  return posts.topic[post]!;
}

/** Every word of a topic, most common first. */
export function vocabulary(topic: number): string[] {
  return Array.from({ length: VOCABULARY }, (_, rank) => topicWord(topic, rank));
}

function topicWord(topic: number, rank: number): string {
  const n = ((topic * VOCABULARY + rank) * STRIDE) % SYLLABLES ** 3;
  return (
    syllable(Math.floor(n / SYLLABLES ** 2)) +
    syllable(Math.floor(n / SYLLABLES) % SYLLABLES) +
    syllable(n % SYLLABLES)
  );
}

function commonWord(language: number, rank: number): string {
  const n = ((language * VOCABULARY + rank) * STRIDE) % SYLLABLES ** 2;
  return syllable(Math.floor(n / SYLLABLES)) + syllable(n % SYLLABLES);
}

function syllable(n: number): string {
  return CONSONANTS[Math.floor(n / VOWELS.length)]! + VOWELS[n % VOWELS.length]!;
}
