import { ELSEWHERE, type Event, type EventOf } from "../datasets/events.ts";
import { estimateTopics } from "./content-topics.ts";
import { type Entity, GLOBAL_KEY, pairKey, type StateEditor, TOPICS_PER_POST } from "./entities.ts";
import { authoredBy, isCreated, POST } from "./families/post-content.ts";
import { USER_AUTHOR } from "./families/user-author.ts";
import type { EventRole, FeatureFamily } from "./family.ts";
import { FAMILIES, OFFSETS } from "./registry.ts";
import { engagementFact, impressionFact, type SignalFact } from "./signals.ts";

interface Placed {
  readonly family: FeatureFamily;
  readonly at: number;
}

const placed = (has: (family: FeatureFamily) => boolean): Map<Entity, Placed[]> => {
  const byEntity = new Map<Entity, Placed[]>();
  for (const family of FAMILIES) {
    if (family.entity === undefined || !has(family)) continue;
    const list = byEntity.get(family.entity) ?? [];
    list.push({ family, at: OFFSETS.get(family) as number });
    byEntity.set(family.entity, list);
  }
  return byEntity;
};
const SIGNAL_FAMILIES = placed((family) => family.onSignal !== undefined);
const TOPIC_SIGNAL_FAMILIES = placed((family) => family.onTopicSignal !== undefined);
const ELSEWHERE_FAMILIES = placed((family) => family.onElsewhere !== undefined);
const POST_FAMILIES = placed((family) => family.onPost !== undefined);
const EVENT_FAMILIES = placed((family) => family.onEvent !== undefined);

/**
 * Applies one event to the feature state: the one place that says which entities an event concerns.
 * Deterministic; the caller decides the order (see `replay.ts`).
 */
export function applyEvent(state: StateEditor, event: Event): void {
  switch (event.type) {
    case "impression":
      applySignal(state, event, impressionFact(event));
      return;
    case "engagement": {
      const fact = engagementFact(event);
      if (fact === undefined) return;
      // Rates are per impression: what happened where none are logged must not raise them.
      if (event.surface === ELSEWHERE) applyElsewhere(state, event, fact);
      else applySignal(state, event, fact);
      applyPlain(state, "user", event.user_id, event, "subject");
      return;
    }
    case "post_created":
      applyPost(state, event);
      return;
    case "user_created":
      applyPlain(state, "user", event.user_id, event, "subject");
      applyPlain(state, "author", event.user_id, event, "subject");
      return;
    case "follow":
    case "unfollow":
      applyFollow(state, event);
      return;
    case "post_deleted":
      state.delete("post", event.post_id);
      return;
    case "user_deleted":
      forgetUser(state, event);
      return;
  }
}

function applySignal(
  state: StateEditor,
  event: EventOf<"impression"> | EventOf<"engagement">,
  fact: SignalFact,
): void {
  signal(state, "global", GLOBAL_KEY, fact, 1);
  const user = signal(state, "user", event.user_id, fact, 1);
  const post = signal(state, "post", event.post_id, fact, 1);
  if (event.author_id !== undefined) {
    signal(state, "author", event.author_id, fact, 1);
    signal(state, "user_author", pairKey(event.user_id, event.author_id), fact, 1);
  }
  if (event.surface !== undefined) {
    signal(state, "surface", event.surface, fact, 1);
    signal(state, "user_surface", pairKey(event.user_id, event.surface), fact, 1);
  }
  if (!isCreated(post)) return;
  signal(state, "user_media", pairKey(event.user_id, String(post[POST.media])), fact, 1);
  for (let i = 0; i < TOPICS_PER_POST; i++) {
    const topic = post[POST.topics + 2 * i] as number;
    if (topic === 0) break;
    const share = post[POST.topics + 2 * i + 1] as number;
    signal(state, "topic", String(topic), fact, share);
    signal(state, "user_topic", pairKey(event.user_id, String(topic)), fact, share);
    for (const { family, at } of TOPIC_SIGNAL_FAMILIES.get("user") ?? [])
      family.onTopicSignal?.(user, at, fact, topic, share);
  }
}

/** An engagement on the surface `elsewhere` counts apart from what impressions led to. */
function applyElsewhere(state: StateEditor, event: EventOf<"engagement">, fact: SignalFact): void {
  elsewhere(state, "global", GLOBAL_KEY, fact, 1);
  elsewhere(state, "user", event.user_id, fact, 1);
  elsewhere(state, "post", event.post_id, fact, 1);
  if (event.author_id !== undefined) {
    elsewhere(state, "author", event.author_id, fact, 1);
    elsewhere(state, "user_author", pairKey(event.user_id, event.author_id), fact, 1);
  }
  const post = state.get("post", event.post_id);
  if (!isCreated(post)) return;
  for (let i = 0; i < TOPICS_PER_POST; i++) {
    const topic = post[POST.topics + 2 * i] as number;
    if (topic === 0) break;
    const share = post[POST.topics + 2 * i + 1] as number;
    elsewhere(state, "user_topic", pairKey(event.user_id, String(topic)), fact, share);
  }
}

function elsewhere(
  state: StateEditor,
  entity: Entity,
  key: string,
  fact: SignalFact,
  share: number,
): void {
  const vector = state.edit(entity, key);
  for (const { family, at } of ELSEWHERE_FAMILIES.get(entity) ?? [])
    family.onElsewhere?.(vector, at, fact, share);
}

/** The newest statement about a pair holds, whatever the order of arrival; followers are counted when it changes. */
function applyFollow(state: StateEditor, event: EventOf<"follow"> | EventOf<"unfollow">): void {
  const key = pairKey(event.user_id, event.target_id);
  const pair = state.get("user_author", key);
  if (pair !== undefined && event.time_ms < (pair[USER_AUTHOR.changedAt] as number)) return;
  const changes = (pair?.[USER_AUTHOR.follows] === 1) !== (event.type === "follow");
  applyPlain(state, "user_author", key, event, "subject");
  if (!changes) return;
  applyPlain(state, "user", event.user_id, event, "subject");
  applyPlain(state, "author", event.target_id, event, "object");
  applyPlain(state, "user_follows", event.user_id, event, "subject");
}

function applyPost(state: StateEditor, event: EventOf<"post_created">): void {
  // A repeated record would count the post twice.
  if (isCreated(state.get("post", event.post_id))) return;
  const post = state.edit("post", event.post_id);
  applyPlain(state, "post", event.post_id, event, "subject");
  estimateTopics(state, event, post);
  applyPlain(state, "author", event.author_id, event, "subject");
  applyTopics(state, "author", event.author_id, event.time_ms, post);
  applyTopics(state, "global", GLOBAL_KEY, event.time_ms, post);
  for (let i = 0; i < TOPICS_PER_POST; i++) {
    const topic = post[POST.topics + 2 * i] as number;
    if (topic === 0) break;
    applyPlain(state, "topic", String(topic), event, "subject");
  }
}

function applyTopics(
  state: StateEditor,
  entity: Entity,
  key: string,
  timeMs: number,
  post: Float64Array,
): void {
  const vector = state.edit(entity, key);
  for (const { family, at } of POST_FAMILIES.get(entity) ?? [])
    family.onPost?.(vector, at, timeMs, post);
}

function signal(
  state: StateEditor,
  entity: Entity,
  key: string,
  fact: SignalFact,
  share: number,
): Float64Array {
  const vector = state.edit(entity, key);
  const families = SIGNAL_FAMILIES.get(entity) as Placed[];
  for (let i = 0; i < families.length; i++) {
    const { family, at } = families[i] as Placed;
    family.onSignal?.(vector, at, fact, share);
  }
  return vector;
}

function applyPlain(
  state: StateEditor,
  entity: Entity,
  key: string,
  event: Event,
  role: EventRole,
): void {
  const vector = state.edit(entity, key);
  for (const { family, at } of EVENT_FAMILIES.get(entity) ?? [])
    family.onEvent?.(vector, at, event, role);
}

/**
 * Removes every vector that the user is a part of, and those of the user's posts, and ends the user's follows in both
 * directions. Counts of signals in others' vectors are sums and stay.
 */
function forgetUser(
  state: StateEditor,
  { user_id: userId, time_ms }: EventOf<"user_deleted">,
): void {
  state.delete("user", userId);
  state.delete("author", userId);
  state.delete("user_follows", userId);
  const first = `${userId}|`;
  const second = `|${userId}`;
  for (const entity of ["user_author", "user_topic", "user_media", "user_surface"] as const) {
    const doomed: string[] = [];
    for (const key of state.keys(entity))
      if (key.startsWith(first) || (entity === "user_author" && key.endsWith(second)))
        doomed.push(key);
    for (const key of doomed) {
      if (entity === "user_author") endFollow(state, key, userId, time_ms);
      state.delete(entity, key);
    }
  }
  const posts: string[] = [];
  for (const key of state.keys("post"))
    if (authoredBy(state.get("post", key), userId)) posts.push(key);
  for (const key of posts) state.delete("post", key);
}

/** Takes the follow of a pair that is about to be removed out of the counts of the one who stays. */
function endFollow(state: StateEditor, key: string, leaving: string, time_ms: number): void {
  if (state.get("user_author", key)?.[USER_AUTHOR.follows] !== 1) return;
  const [user_id, target_id] = key.split("|") as [string, string];
  const event = { type: "unfollow", time_ms, user_id, target_id } as const;
  if (user_id !== leaving) {
    applyPlain(state, "user", user_id, event, "subject");
    applyPlain(state, "user_follows", user_id, event, "subject");
  }
  if (target_id !== leaving) applyPlain(state, "author", target_id, event, "object");
}
