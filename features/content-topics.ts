import type { EventOf } from "../datasets/events.ts";
import { hash32 } from "../datasets/random.ts";
import { type StateEditor, TOPICS_PER_POST } from "./entities.ts";
import { isCreated, POST } from "./families/post-content.ts";
import { addToTopic } from "./topic-counts.ts";

/** A token's vector: [labelled posts that held it, then PAIRS pairs of (topic hash, count)]. */
const PAIRS = 64;
export const TOKEN_SLOTS = 1 + 2 * PAIRS;
/** The key of the vector that counts labels over all posts. No token is empty. */
const ALL_POSTS = "";

/** Raised when the estimate's meaning changes: state that was made by another version is rebuilt. */
export const TOPICS_VERSION = 3;

/** Pseudo-count of a token's prior. */
const PRIOR = 2;
/** Log-odds that a label is right, on top of the text: labels are wrong or missing a quarter of the time. */
const LABEL_EVIDENCE = 2.5;
/** Tokens of a text repeat each other's evidence; below 1 it is not counted as if independent. */
const TEMPERATURE = 0.7;
/** Topics below this weight are noise. */
const MIN_WEIGHT = 0.06;
/** A longer run of letters is no word, and stores bound the length of their keys. */
const MAX_TOKEN_LENGTH = 64;

export const topicHash = (name: string): number => hash32(0, "topic", name) || 1;

/**
 * Estimates the topics of a new post from its text and its noisy labels by naive Bayes over what earlier posts showed,
 * writes them into the post's vector, then learns from the post: strictly from the past.
 * A post without text keeps its labels in equal parts; where nothing speaks for any topic the post has none. A repost
 * without words of its own is about what the original is about.
 */
export function estimateTopics(
  state: StateEditor,
  event: EventOf<"post_created">,
  post: Float64Array,
): void {
  const tokens = tokensOf(event.text);
  if (tokens.length === 0 && event.repost_of_post_id !== undefined) {
    const original = state.get("post", event.repost_of_post_id);
    if (isCreated(original) && original[POST.topics] !== 0) {
      const end = POST.topics + 2 * TOPICS_PER_POST;
      post.set(original.subarray(POST.topics, end), POST.topics);
      return;
    }
  }
  const labels = event.topics.map(topicHash);
  const weights = tokens.length === 0 ? uniform(labels) : posterior(state, tokens, labels);
  const top = [...weights].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, TOPICS_PER_POST);
  const total = top.reduce((sum, [, weight]) => sum + weight, 0);
  for (let i = 0; i < TOPICS_PER_POST; i++) {
    const entry = top[i];
    post[POST.topics + 2 * i] = entry?.[0] ?? 0;
    post[POST.topics + 2 * i + 1] = entry === undefined ? 0 : entry[1] / total;
  }
  if (labels.length === 0) return;
  for (const key of [ALL_POSTS, ...tokens]) {
    const vector = state.edit("token", key);
    vector[0] = (vector[0] as number) + 1;
    for (const label of labels) addToTopic(vector, 1, PAIRS, label, 1 / labels.length);
  }
}

/** The distinct words of a text, in lower case. */
function tokensOf(text: string): string[] {
  const words = text.toLowerCase().match(/[\p{L}\p{N}_#]+/gu) ?? [];
  return [...new Set(words)].filter((word) => word.length <= MAX_TOKEN_LENGTH);
}

function uniform(labels: readonly number[]): Map<number, number> {
  return new Map(labels.map((label) => [label, 1 / labels.length]));
}

/** P(topic | text, labels) over every topic seen so far; empty when nothing speaks for any. */
function posterior(
  state: StateEditor,
  tokens: readonly string[],
  labels: readonly number[],
): Map<number, number> {
  const all = state.get("token", ALL_POSTS);
  if (all === undefined) return uniform(labels);
  const scores = new Map<number, number>();
  const priors = new Map<number, number>();
  for (let i = 1; i < all.length && all[i] !== 0; i += 2) {
    // All topics start equal: starting at their shares measured no better on planted topics.
    scores.set(all[i] as number, 0);
    priors.set(all[i] as number, (all[i + 1] as number) / (all[0] as number));
  }
  let informed = labels.length > 0;
  for (const token of tokens) {
    const vector = state.get("token", token);
    if (vector === undefined) continue;
    informed = true;
    const seen = vector[0] as number;
    // Relative to a topic that the token was never seen with: that factor is common to all topics and cancels.
    const background = Math.log(PRIOR / (seen + PRIOR));
    for (let i = 1; i < vector.length && vector[i] !== 0; i += 2) {
      const topic = vector[i] as number;
      const prior = priors.get(topic);
      if (prior === undefined) continue;
      const ratio = ((vector[i + 1] as number) + PRIOR * prior) / (seen + PRIOR) / prior;
      scores.set(topic, (scores.get(topic) as number) - background + Math.log(ratio));
    }
  }
  if (!informed) return new Map();
  for (const label of labels) scores.set(label, (scores.get(label) ?? 0) + LABEL_EVIDENCE);
  const highest = Math.max(...scores.values());
  let total = 0;
  for (const [topic, score] of scores) {
    const weight = Math.exp(TEMPERATURE * (score - highest));
    scores.set(topic, weight);
    total += weight;
  }
  for (const [topic, weight] of scores)
    if (weight / total < MIN_WEIGHT) scores.delete(topic);
    else scores.set(topic, weight / total);
  return scores;
}
