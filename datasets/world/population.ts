import { createPosts } from "./create-posts.ts";
import { createGraph, type FollowGraph } from "./graph.ts";
import { createCommunities } from "./interests.ts";
import type { Posts } from "./posts.ts";
import type { WorldSettings } from "./settings.ts";
import { createUsers, type Users } from "./users.ts";

/** Everything about a world that is fixed before anybody opens a feed. */
export interface Population {
  readonly settings: WorldSettings;
  readonly seed: number;
  readonly users: Users;
  readonly graph: FollowGraph;
  readonly posts: Posts;
}

export function createPopulation(settings: WorldSettings, seed: number): Population {
  const users = createUsers(settings, seed, createCommunities(seed));
  const graph = createGraph(users, seed);
  return { settings, seed, users, graph, posts: createPosts(settings, seed, users, graph) };
}
