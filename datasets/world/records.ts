import type { Event } from "../events.ts";
import { WORLD_HEADS } from "../heads.ts";
import { hash32 } from "../random.ts";
import {
  BLOCK,
  ENGAGEMENT,
  FOLLOW,
  type Happening,
  IMPRESSION,
  MUTE,
  POST_CREATED,
  POST_DELETED,
  UNFOLLOW,
  USER_CREATED,
} from "./event-queue.ts";
import { DWELL_SECONDS_HEAD, IN_NETWORK_FLAG, POLICY_MASK } from "./live.ts";
import { POLICIES } from "./policies.ts";
import type { Population } from "./population.ts";
import {
  NO_LABEL,
  PHOTO,
  type Posts,
  postId,
  QUOTE_POST,
  REPLY_POST,
  REPOST_POST,
  VIDEO,
} from "./posts.ts";
import { postText } from "./text.ts";
import { LANGUAGES, TOPICS } from "./topics.ts";
import type { Users } from "./users.ts";

const SAFETY_LABELS = ["sensitive_media", "spam", "abusive"] as const;
const RELATIONS = {
  [FOLLOW]: "follow",
  [UNFOLLOW]: "unfollow",
  [BLOCK]: "block",
  [MUTE]: "mute",
} as const;

export const requestId = (request: number): string => `q${request.toString(36)}`;

/** The record of a happening as the log stores it. `policyName` overrides the logging policy's name. */
export function toRecord(
  population: Population,
  at: Happening,
  nameRequest: (request: number) => string = requestId,
  policyName?: string,
): Event {
  const { users, posts, seed } = population;
  switch (at.kind) {
    case USER_CREATED:
      return userRecord(users, at.user);
    case POST_CREATED:
      return postRecord(population, at.object);
    case POST_DELETED:
      return {
        type: "post_deleted",
        time_ms: at.timeMs,
        post_id: postId(posts, at.object),
        author_id: users.ids[at.user]!,
      };
    case IMPRESSION: {
      const policy = policyName ?? POLICIES[(at.flags & POLICY_MASK) as 0 | 1 | 2];
      return {
        type: "impression",
        time_ms: at.timeMs,
        request_id: nameRequest(at.request),
        user_id: users.ids[at.user]!,
        post_id: postId(posts, at.object),
        author_id: users.ids[posts.author[at.object]!]!,
        position: at.detail,
        // How long the post was in view when the client counted it; the whole stay is known later, as dwell_seconds.
        viewed_ms: 300 + (hash32(seed, "viewed", at.user, at.object) % 400),
        in_network: (at.flags & IN_NETWORK_FLAG) !== 0,
        policy,
        ...(at.value > 0 ? { propensity: at.value } : {}),
      };
    }
    case ENGAGEMENT:
      return {
        type: "engagement",
        time_ms: at.timeMs,
        user_id: users.ids[at.user]!,
        post_id: postId(posts, at.object),
        author_id: users.ids[posts.author[at.object]!]!,
        head: WORLD_HEADS[at.detail]!,
        ...(at.detail === DWELL_SECONDS_HEAD ? { value: at.value } : {}),
        request_id: nameRequest(at.request),
      };
    default:
      return {
        type: RELATIONS[at.kind as keyof typeof RELATIONS],
        time_ms: at.timeMs,
        user_id: users.ids[at.user]!,
        target_id: users.ids[at.object]!,
      };
  }
}

function userRecord(users: Users, user: number): Event {
  const main = LANGUAGES[users.language[user]! as 0 | 1 | 2];
  const second = LANGUAGES[users.secondLanguage[user]! as 0 | 1 | 2];
  const away = users.daysAway[user]!;
  return {
    type: "user_created",
    time_ms: users.createdMs[user]!,
    user_id: users.ids[user]!,
    languages: main === second ? [main] : [main, second],
    utc_offset_minutes: users.utcOffsetMinutes[user]!,
    attributes: Number.isNaN(away) ? {} : { days_since_visit_at_start: Math.floor(away) },
  };
}

function postRecord({ users, posts, seed }: Population, post: number): Event {
  const media = posts.media[post]!;
  const label = posts.label[post]!;
  const safety = posts.safetyLabel[post]!;
  return {
    type: "post_created",
    time_ms: posts.createdMs[post]!,
    post_id: postId(posts, post),
    author_id: users.ids[posts.author[post]!]!,
    text: postText(posts, users, seed, post),
    topics: label === NO_LABEL ? [] : [TOPICS[label]!],
    language: LANGUAGES[posts.language[post]! as 0 | 1 | 2],
    media: media === PHOTO ? "photo" : media === VIDEO ? "video" : "none",
    ...(media === VIDEO ? { video_ms: posts.videoMs[post]! } : {}),
    ...conversation(posts, users, post),
    safety_labels: safety === 0 ? [] : [SAFETY_LABELS[safety - 1]!],
    attributes: {
      quality: rounded(posts.qualityAttribute[post]!),
      controversy: rounded(posts.controversyAttribute[post]!),
    },
  };
}

function conversation(posts: Posts, users: Users, post: number) {
  const root = { conversation_id: postId(posts, posts.root[post]!) };
  const parent = posts.parent[post]!;
  if (parent < 0) return root;
  const id = postId(posts, parent);
  const author = users.ids[posts.author[parent]!]!;
  switch (posts.kind[post]) {
    case REPLY_POST:
      return { in_reply_to_post_id: id, in_reply_to_author_id: author, ...root };
    case REPOST_POST:
      return { repost_of_post_id: id, repost_of_author_id: author, ...root };
    case QUOTE_POST:
      return { quote_of_post_id: id, quote_of_author_id: author, ...root };
    default:
      return root;
  }
}

/** Three decimals: attributes are model outputs with far more noise than that. */
const rounded = (x: number): number => Math.round(x * 1000) / 1000;
