import { parseArgs } from "node:util";
import { IN_NETWORK_LIMITS, inNetworkPosts } from "../../candidates/in-network.ts";
import { PostStore } from "../../candidates/post-store.ts";
import { SocialGraph } from "../../candidates/social-graph.ts";
import { followingPosts } from "../../candidates/timelines/timeline-reader.ts";
import { type Event, EventSchema } from "../../datasets/events.ts";
import { random } from "../../datasets/random.ts";
import { figure, quantile, writeReport } from "./bench-report.ts";

/*
 * What a reader's posts cost to find in spaces of 1, 10 and 100 times as many users and posts. A reader follows as many
 * accounts in each, which write as much: a read should cost what it brings, not what there is.
 */
const USERS = 1_000;
const POSTS_PER_USER = 10;
const FOLLOWS = 100;
const READERS = 200;
const ROUNDS = 7;
const PAGE = 50;
const NOW_MS = 1_760_000_000_000;
const DAY_MS = 86_400_000;
const TIMES = [1, 10, 100] as const;

const { values: flags } = parseArgs({
  options: {
    help: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    seed: { type: "string", default: "1" },
  },
});

interface Space {
  readonly posts: PostStore;
  readonly graph: SocialGraph;
  readonly readers: readonly string[];
}

function main(): void {
  if (flags.help) {
    process.stdout.write("usage: roost bench growth [--seed N (1)] [--json]\n");
    return;
  }
  const spaces = TIMES.map(space);
  const rounds: Record<string, number[]> = {};
  const note = (name: string, ms: number): void => {
    rounds[name] = [...(rounds[name] ?? []), ms];
  };
  for (let round = -1; round < ROUNDS; round++)
    // Each round turns the order round, so that none profits from what the others left in the processor's caches.
    for (const i of round % 2 === 0 ? [0, 1, 2] : [2, 1, 0]) {
      const { inNetwork, page } = read(spaces[i] as Space);
      if (round < 0) continue;
      note(`in_network_${TIMES[i]}x`, inNetwork);
      note(`page_${TIMES[i]}x`, page);
    }
  const p50 = (name: string): number => quantile(rounds[name] as number[], 0.5);
  const ratio = (times: number): number =>
    (p50(`in_network_${times}x`) + p50(`page_${times}x`)) / (p50("in_network_1x") + p50("page_1x"));
  writeReport(
    "growth",
    {
      seed: Number(flags.seed),
      rounds,
      figures: [
        figure("read_ratio_10x", ratio(10), ""),
        figure("read_ratio_100x", ratio(100), ""),
        ...TIMES.flatMap((times) => [
          figure(`in_network_p50_ms_${times}x`, p50(`in_network_${times}x`), "ms"),
          figure(`page_p50_ms_${times}x`, p50(`page_${times}x`), "ms"),
        ]),
        figure("posts_100x", 100 * USERS * POSTS_PER_USER, "posts"),
      ],
    },
    flags.json,
  );
}

/** A space of so many times the users, each writing and following as much as in the smallest. */
function space(times: number): Space {
  const posts = new PostStore();
  const graph = new SocialGraph();
  const users = USERS * times;
  const draws = random(Number(flags.seed), "growth", times);
  const apply = (fields: object): void => {
    const event = EventSchema.parse({ time_ms: NOW_MS - DAY_MS, ...fields }) as Event;
    posts.apply(event);
    graph.apply(event);
  };
  const readers = Array.from({ length: READERS }, () => String(1 + draws.below(users)));
  for (const user_id of readers)
    for (let i = 0; i < FOLLOWS; i++)
      apply({ type: "follow", user_id, target_id: String(1 + draws.below(users)) });
  for (let i = 0; i < users * POSTS_PER_USER; i++)
    apply({
      type: "post_created",
      time_ms: NOW_MS - Math.floor(DAY_MS * (1 - i / (users * POSTS_PER_USER))),
      post_id: String(1_000_000 + i),
      author_id: String(1 + draws.below(users)),
    });
  return { posts, graph, readers };
}

/** Median ms of a reader's in-network posts and of a page of the following timeline. */
function read({ posts, graph, readers }: Space): { inNetwork: number; page: number } {
  const inNetwork: number[] = [];
  const page: number[] = [];
  for (const viewerId of readers) {
    const startedAt = performance.now();
    inNetworkPosts(posts, {
      viewerId,
      followedIds: graph.following(viewerId),
      excludedPostIds: new Set(),
      nowMs: NOW_MS,
      maxAgeHours: 48,
      limit: IN_NETWORK_LIMITS.results,
    });
    const between = performance.now();
    followingPosts(viewerId, { limit: PAGE, nowMs: NOW_MS }, { posts, graph });
    inNetwork.push(between - startedAt);
    page.push(performance.now() - between);
  }
  return { inNetwork: quantile(inNetwork, 0.5), page: quantile(page, 0.5) };
}

main();
