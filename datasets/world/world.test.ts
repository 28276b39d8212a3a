import { beforeAll, describe, expect, test } from "vitest";
import { type Event, EventSchema } from "../events.ts";
import { WORLD_HEADS } from "../heads.ts";
import { random } from "../random.ts";
import { eventChecksum } from "./event-checksum.ts";
import { examination } from "./examination.ts";
import { ViewerHistory } from "./viewer-history.ts";
import { createWorld, type ViewContext, type World } from "./world.ts";
import { WORLD_WEIGHTS } from "./world-weights.ts";

const headIndex = (name: string): number => (WORLD_HEADS as readonly string[]).indexOf(name);
const checksumOf = (events: Iterable<Event>): string => {
  const checksum = eventChecksum();
  for (const event of events) checksum.add(event);
  return checksum.digest();
};

/** Checksum of the tiny world of seed 1. A change here makes every figure measured on the world incomparable. */
const FROZEN = "b29d561f3176c14937fe0c81de364cbfccdbade1cccb56d89e12fb2e75da2885";

let world: World;
let events: Event[];
beforeAll(() => {
  world = createWorld("tiny", 1);
  events = [...world.events()];
});

describe("the log", () => {
  test("the same preset and seed give the same bytes, those that the world is frozen at", () => {
    const again = createWorld("tiny", 1);
    expect(checksumOf(again.events())).toBe(checksumOf(events));
    expect(checksumOf(events)).toBe(FROZEN);
  });

  test("chunks of any size hold the same events", () => {
    for (const size of [977, 1_000_000]) {
      const chunks = [...world.eventChunks(size)];
      expect(chunks.slice(0, -1).every((chunk) => chunk.length === size)).toBe(true);
      expect(checksumOf(chunks.flat())).toBe(checksumOf(events));
    }
  });

  test("asking for truth while the log is read does not change the log", () => {
    const checksum = eventChecksum();
    const context = { timeMs: world.startMs };
    let posts = 0;
    for (const event of world.events()) {
      checksum.add(event);
      if (event.type !== "post_created") continue;
      if (posts++ % 50 === 0)
        world.trueProbability(world.userIds[posts % world.userIds.length]!, event.post_id, context);
    }
    expect(checksum.digest()).toBe(checksumOf(events));
  });

  test("another seed gives another world", () => {
    expect(checksumOf(createWorld("tiny", 2).events())).not.toBe(checksumOf(events));
  });

  test("every event is valid and none comes before the one above it", () => {
    let last = Number.NEGATIVE_INFINITY;
    let backwards = 0;
    for (const event of events) {
      if (event.time_ms < last) backwards++;
      last = event.time_ms;
    }
    expect(backwards).toBe(0);
    for (let i = 0; i < events.length; i += 7) EventSchema.parse(events[i]);
    expect(last).toBeLessThan(world.endMs);
  });

  test("people and posts exist before anything happens to them", () => {
    const known = new Set<string>();
    const unknown: Event[] = [];
    let deleted = 0;
    for (const event of events) {
      const isUser = event.type === "user_created";
      const isPost = event.type === "post_created";
      const named = Object.entries(event).filter(([key]) => key.endsWith("_id"));
      for (const [key, id] of named) {
        if (key === "request_id" || (isUser && key === "user_id")) continue;
        if (isPost && (key === "post_id" || id === event.post_id)) continue;
        if (!known.has(String(id))) unknown.push(event);
      }
      if (isUser) known.add(event.user_id);
      if (isPost) known.add(event.post_id);
      if (event.type === "post_deleted") deleted++;
    }
    expect(unknown).toEqual([]);
    expect(deleted).toBeGreaterThan(0);
  });

  test("an outcome becomes known after its impression, never with it", () => {
    const seenAt = new Map<string, number>();
    let outcomes = 0;
    let early = 0;
    for (const event of events) {
      if (event.type === "impression")
        seenAt.set(`${event.request_id} ${event.post_id}`, event.time_ms);
      if (event.type !== "engagement") continue;
      if (!(event.time_ms > seenAt.get(`${event.request_id} ${event.post_id}`)!)) early++;
      outcomes++;
    }
    expect(early).toBe(0);
    expect(outcomes).toBeGreaterThan(10_000);
  });

  test("the time in view that an impression carries says nothing about how long the person stayed", () => {
    const viewed = new Map<string, number>();
    const pairs: [number, number][] = [];
    for (const event of events) {
      const key =
        "post_id" in event && "user_id" in event ? `${event.user_id} ${event.post_id}` : "";
      if (event.type === "impression") viewed.set(key, event.viewed_ms!);
      if (event.type === "engagement" && event.head === "dwell_seconds")
        pairs.push([viewed.get(key)!, Math.log(event.value!)]);
    }
    // Under independence the correlation has standard deviation 1/√n.
    expect(Math.abs(correlation(pairs))).toBeLessThan(4 / Math.sqrt(pairs.length));
  });

  test("gated heads happen only where they can", () => {
    const media = new Map<string, string>();
    const history = new ViewerHistory();
    const inNetwork = new Map<string, boolean>();
    const followsAtRequest = new Map<string, ReadonlySet<string>>();
    let follows = 0;
    for (const event of events) {
      if (event.type === "post_created") media.set(event.post_id, event.media);
      if (event.type === "impression") {
        inNetwork.set(`${event.request_id} ${event.post_id}`, event.in_network!);
        let asked = followsAtRequest.get(event.request_id);
        if (!asked) {
          asked = new Set(history.follows(event.user_id));
          followsAtRequest.set(event.request_id, asked);
        }
        expect(event.in_network).toBe(asked.has(event.author_id!));
      }
      if (event.type === "engagement") {
        if (event.head === "photo_expand") expect(media.get(event.post_id)).toBe("photo");
        if (event.head === "video_view") expect(media.get(event.post_id)).toBe("video");
        if (event.head === "follow_author") {
          expect(inNetwork.get(`${event.request_id} ${event.post_id}`)).toBe(false);
          follows++;
        }
      }
      history.observe(event);
    }
    expect(follows).toBeGreaterThan(0);
  });

  test("whoever blocked or muted an author is not shown that author again in a later request", () => {
    const hidden = new Map<string, number>();
    const firstOf = new Map<string, number>();
    for (const event of events) {
      if (event.type === "block" || event.type === "mute")
        hidden.set(`${event.user_id} ${event.target_id}`, event.time_ms);
      if (event.type !== "impression") continue;
      if (!firstOf.has(event.request_id)) firstOf.set(event.request_id, event.time_ms);
      const since = hidden.get(`${event.user_id} ${event.author_id}`);
      if (since !== undefined) expect(firstOf.get(event.request_id)).toBeLessThan(since + 2_000);
    }
    expect(hidden.size).toBeGreaterThan(0);
  });

  test("rates of the log lie where feeds have them", () => {
    const counts = new Map<string, number>();
    for (const event of events) {
      const key = event.type === "engagement" ? event.head : event.type;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    const rate = (head: string): number => (counts.get(head) ?? 0) / counts.get("impression")!;
    expect(rate("click")).toBeGreaterThan(0.06);
    expect(rate("click")).toBeLessThan(0.15);
    expect(rate("favorite")).toBeGreaterThan(0.02);
    expect(rate("favorite")).toBeLessThan(0.05);
    expect(rate("dwell")).toBeGreaterThan(0.25);
    expect(rate("dwell")).toBeLessThan(0.4);
    expect(rate("reply")).toBeGreaterThan(0.001);
    expect(rate("reply")).toBeLessThan(0.012);
  });
});

/** The moment of a held-out request, as the log tells it. */
function somebody(): { userId: string; context: Required<ViewContext>; posts: string[] } {
  const history = new ViewerHistory();
  const posts: string[] = [];
  let userId: string | undefined;
  for (const event of events) {
    if (event.time_ms > world.heldOutFromMs + 12 * 3_600_000) break;
    history.observe(event);
    if (event.type === "post_created") posts.push(event.post_id);
    if (event.type === "impression") userId = event.user_id;
  }
  const context = history.context(userId!, world.heldOutFromMs + 12 * 3_600_000);
  return { userId: userId!, context, posts: posts.slice(-120) };
}

describe("the truth", () => {
  test("what people do in simulated pages happens as often as its true probability says", () => {
    const { userId, context, posts } = somebody();
    const slate = posts.slice(0, 30);
    const p = world.trueProbabilities(userId, slate, context);
    const rounds = 4_000;
    const looked = new Float64Array(slate.length);
    const happened = new Float64Array(slate.length * WORLD_HEADS.length);
    for (let round = 0; round < rounds; round++) {
      const page = { ...context, requestId: `r${round}`, policy: "test" };
      for (const event of world.respond(userId, slate, page, random(5, "respond", round))) {
        if (event.type === "impression") looked[event.position]!++;
        if (event.type !== "engagement") continue;
        const cell = slate.indexOf(event.post_id) * WORLD_HEADS.length + headIndex(event.head);
        happened[cell]! += event.value ?? 1;
      }
    }
    let worst = 0;
    for (let i = 0; i < slate.length; i++) {
      expectWithin(looked[i]!, rounds, examination(i), 4.5);
      for (const [h, head] of WORLD_HEADS.entries()) {
        const expected = p[i * WORLD_HEADS.length + h]!;
        const mean = happened[i * WORLD_HEADS.length + h]! / looked[i]!;
        // A log-normal stay of log-sd .9 has a standard deviation of 1.12 means.
        const sd =
          head === "dwell_seconds" ? 1.12 * expected : Math.sqrt(expected * (1 - expected));
        // With few expected cases the binomial is skewed: one case more than the normal bound is allowed.
        const bound = 4.5 * (sd / Math.sqrt(looked[i]!)) + 2 / looked[i]!;
        worst = Math.max(worst, Math.abs(mean - expected) / bound);
      }
    }
    expect(worst).toBeLessThan(1);
  });

  test("the mean weighted sum of what people do is the slate's value", () => {
    const { userId, context, posts } = somebody();
    const weights = { click: 1, favorite: 2, reply: 5, dwell_seconds: 0.05, not_interested: -20 };
    const slate = posts.slice(0, 12);
    const rounds = 6_000;
    let sum = 0;
    let squares = 0;
    for (let round = 0; round < rounds; round++) {
      let value = 0;
      const page = { ...context, requestId: "r", policy: "test" };
      for (const event of world.respond(userId, slate, page, random(6, "value", round)))
        if (event.type === "engagement")
          value += (weights[event.head as "click"] ?? 0) * (event.value ?? 1);
      sum += value;
      squares += value * value;
    }
    const mean = sum / rounds;
    const error = Math.sqrt((squares / rounds - mean ** 2) / rounds);
    expect(Math.abs(mean - world.slateValue(userId, slate, weights, context))).toBeLessThan(
      4 * error,
    );
  });

  test("closed gates have probability 0 and open ones do not", () => {
    const media = new Map<string, string>();
    const author = new Map<string, string>();
    for (const event of events) {
      if (event.type !== "post_created") continue;
      media.set(event.post_id, event.media);
      author.set(event.post_id, event.author_id);
    }
    const { userId, context, posts } = somebody();
    for (const id of posts) {
      const p = world.trueProbability(userId, id, context);
      expect(p[headIndex("photo_expand")]! > 0).toBe(media.get(id) === "photo");
      expect(p[headIndex("video_view")]! > 0).toBe(media.get(id) === "video");
      expect(p[headIndex("follow_author")]! > 0).toBe(!context.follows(author.get(id)!));
    }
  });

  test("many posts at once give the same as one by one", () => {
    const { userId, context, posts } = somebody();
    for (const method of ["true", "visible"] as const) {
      const many = world[`${method}Probabilities`](userId, posts, context);
      const single = posts.flatMap((id) => [...world[`${method}Probability`](userId, id, context)]);
      expect([...many]).toEqual(single);
    }
  });

  test("the oracle sorts by value and no other order of the candidates is worth more", () => {
    const { userId, context, posts } = somebody();
    const ranking = world.oracleRanking(userId, posts, WORLD_WEIGHTS, context);
    const values = [...world.trueValues(userId, ranking, WORLD_WEIGHTS, context)];
    expect(values).toEqual([...values].sort((a, b) => b - a));
    expect([...ranking].sort()).toEqual([...posts].sort());
    const best = world.slateValue(userId, ranking.slice(0, 20), WORLD_WEIGHTS, context);
    for (let i = 0; i < 200; i++) {
      const source = random(7, "other", i);
      const other = posts
        .map((id) => ({ id, key: source.next() }))
        .sort((a, b) => a.key - b.key)
        .slice(0, 20);
      const ids = other.map(({ id }) => id);
      expect(world.slateValue(userId, ids, WORLD_WEIGHTS, context)).toBeLessThan(best);
    }
  });

  test("older posts, tired viewers and over-exposed authors get less", () => {
    const { userId, context, posts } = somebody();
    const click = headIndex("click");
    const annoyed = headIndex("not_interested");
    for (const id of posts.slice(0, 20)) {
      const now = world.trueProbability(userId, id, context);
      const day = new Date(context.timeMs).setUTCHours(23, 59);
      const later = world.trueProbability(userId, id, { ...context, timeMs: day });
      expect(later[click]).toBeLessThan(now[click]!);
      const tired = { ...context, positionInSession: 60 };
      expect(world.trueProbability(userId, id, tired)[click]).toBeLessThan(now[click]!);
      const fed = { ...context, authorExposures: () => 500 };
      const fresh = { ...context, authorExposures: () => 0 };
      expect(world.trueProbability(userId, id, fed)[annoyed]).toBeGreaterThanOrEqual(
        world.trueProbability(userId, id, fresh)[annoyed]!,
      );
    }
  });

  test("users and posts that the world does not have are refused by name", () => {
    const { userId, context, posts } = somebody();
    expect(() => world.trueProbability("17", posts[0]!, context)).toThrow("no user 17");
    expect(() => world.trueProbability(userId, "99", context)).toThrow("no post 99");
    expect(() =>
      world.respond(userId, ["1"], { ...context, requestId: "r", policy: "p" }, random(1)),
    ).toThrow("no post 1");
  });
});

function expectWithin(successes: number, trials: number, p: number, sigmas: number): void {
  const error = Math.sqrt((p * (1 - p)) / trials);
  expect(Math.abs(successes / trials - p)).toBeLessThanOrEqual(sigmas * error + 1e-12);
}

function correlation(pairs: readonly (readonly [number, number])[]): number {
  const mean = (i: 0 | 1): number => pairs.reduce((sum, pair) => sum + pair[i], 0) / pairs.length;
  const [x, y] = [mean(0), mean(1)];
  let [xx, yy, xy] = [0, 0, 0];
  for (const [a, b] of pairs) {
    xx += (a - x) ** 2;
    yy += (b - y) ** 2;
    xy += (a - x) * (b - y);
  }
  return xy / Math.sqrt(xx * yy);
}
