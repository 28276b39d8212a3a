import { hash32 } from "../../datasets/random.ts";
import { TOPICS_PER_POST } from "../entities.ts";
import type { FeatureFamily } from "../family.ts";

/** Slots of the post's core facts. First family of `post`, so at offset 0: content topics are kept here too. */
export const POST = {
  created: 0,
  media: 1,
  videoMs: 2,
  reply: 3,
  repost: 4,
  quote: 5,
  words: 6,
  hashtags: 7,
  language: 8,
  quality: 9,
  controversy: 10,
  labels: 11,
  labelledTopics: 12,
  /** The author's id in two halves of 32 bits: a float64 cannot hold 64. */
  authorHigh: 13,
  authorLow: 14,
  /** TOPICS_PER_POST pairs of (topic hash, weight), most likely first; hash 0 ends the list. */
  topics: 15,
} as const;
const SLOTS = POST.topics + 2 * TOPICS_PER_POST;

const MEDIA = { none: 0, photo: 1, video: 2 } as const;
/** Hours per millisecond. */
const HOUR = 1 / 3_600_000;

/** A language code as a number that survives storage and restarts. */
export const languageCode = (language: string): number => hash32(0, "language", language) || 1;

/** Whether the post's record has arrived: signals may come first. */
export const isCreated = (post: Float64Array | undefined): post is Float64Array =>
  post !== undefined && post[POST.created] !== 0;

/** Whether the post is by this author. */
export function authoredBy(post: Float64Array | undefined, authorId: string): boolean {
  const id = BigInt(authorId);
  return (
    isCreated(post) &&
    post[POST.authorHigh] === Number(id >> 32n) &&
    post[POST.authorLow] === Number(id & 0xffffffffn)
  );
}

/** What the post is: age, media, form, content scores. */
export const postContent: FeatureFamily = {
  name: "post_content",
  version: 1,
  entity: "post",
  slots: SLOTS,
  perRequest: false,
  reads: ["post"],
  features: [
    { name: "post.age_hours", description: "hours since the post was created" },
    { name: "post.has_photo", description: "1 with a photo, else 0" },
    { name: "post.has_video", description: "1 with a video, else 0" },
    { name: "post.video_seconds", description: "length of the video; missing without one" },
    { name: "post.is_reply", description: "1 for a reply" },
    { name: "post.is_repost", description: "1 for a repost" },
    { name: "post.is_quote", description: "1 for a quote" },
    { name: "post.words", description: "words of the text; missing without text" },
    { name: "post.hashtags", description: "hashtags of the text; missing without text" },
    { name: "post.quality", description: "content model's quality score" },
    { name: "post.controversy", description: "content model's controversy score" },
    { name: "post.safety_labels", description: "number of safety labels" },
    { name: "post.labelled_topics", description: "topic labels given by the classifier" },
    { name: "post.topic_certainty", description: "weight of the likeliest topic (0–1)" },
  ],
  onEvent: (state, at, event) => {
    if (event.type !== "post_created") return;
    const words = event.text === "" ? [] : event.text.trim().split(/\s+/u);
    // 0 stands for "not created".
    state[at + POST.created] = Math.max(1, event.time_ms);
    state[at + POST.media] = MEDIA[event.media];
    state[at + POST.videoMs] = event.video_ms ?? 0;
    state[at + POST.reply] = event.in_reply_to_post_id === undefined ? 0 : 1;
    state[at + POST.repost] = event.repost_of_post_id === undefined ? 0 : 1;
    state[at + POST.quote] = event.quote_of_post_id === undefined ? 0 : 1;
    state[at + POST.words] = words.length;
    state[at + POST.hashtags] = words.filter((word) => word.startsWith("#")).length;
    state[at + POST.language] = event.language === undefined ? 0 : languageCode(event.language);
    state[at + POST.quality] = event.attributes.quality ?? Number.NaN;
    state[at + POST.controversy] = event.attributes.controversy ?? Number.NaN;
    state[at + POST.labels] = event.safety_labels.length;
    state[at + POST.labelledTopics] = event.topics.length;
    const author = BigInt(event.author_id);
    state[at + POST.authorHigh] = Number(author >> 32n);
    state[at + POST.authorLow] = Number(author & 0xffffffffn);
  },
  read: (context, at, out, column) => {
    const post = context.post;
    if (!isCreated(post)) {
      out.fill(Number.NaN, column, column + 14);
      return;
    }
    const words = post[at + POST.words] as number;
    const videoMs = post[at + POST.videoMs] as number;
    const certainty = post[at + POST.topics + 1] as number;
    let c = column;
    out[c++] = Math.max(0, context.nowMs - (post[at + POST.created] as number)) * HOUR;
    out[c++] = post[at + POST.media] === MEDIA.photo ? 1 : 0;
    out[c++] = post[at + POST.media] === MEDIA.video ? 1 : 0;
    out[c++] = videoMs > 0 ? videoMs / 1000 : Number.NaN;
    out[c++] = post[at + POST.reply] as number;
    out[c++] = post[at + POST.repost] as number;
    out[c++] = post[at + POST.quote] as number;
    out[c++] = words > 0 ? words : Number.NaN;
    out[c++] = words > 0 ? (post[at + POST.hashtags] as number) : Number.NaN;
    out[c++] = post[at + POST.quality] as number;
    out[c++] = post[at + POST.controversy] as number;
    out[c++] = post[at + POST.labels] as number;
    out[c++] = post[at + POST.labelledTopics] as number;
    out[c++] = certainty > 0 ? certainty : Number.NaN;
  },
};
