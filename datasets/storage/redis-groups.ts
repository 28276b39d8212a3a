import type { Cluster, Redis } from "ioredis";
import type { RedisConnection } from "./redis.ts";

/** A command whose first argument is its only key. */
export type GroupedCommand = readonly [
  name: string,
  key: string,
  ...args: readonly (string | Buffer | number)[],
];

/**
 * Sends commands in one pipeline a node; answers come in the order of the commands.
 * @throws the first command's error that there is
 */
export async function runGrouped(
  { client }: RedisConnection,
  commands: readonly GroupedCommand[],
): Promise<unknown[]> {
  if (commands.length === 0) return [];
  if (!client.isCluster) return run(client as Redis, commands);
  const cluster = client as Cluster;
  // A key's node is asked of the cluster's client itself, one command at a time: it follows MOVED.
  return Promise.all(commands.map(([name, ...args]) => cluster.call(name, args as string[])));
}

async function run(redis: Redis, commands: readonly GroupedCommand[]): Promise<unknown[]> {
  const answers = await redis.pipeline(commands as unknown as string[][]).exec();
  const values: unknown[] = new Array(commands.length);
  for (let i = 0; i < values.length; i++) {
    const [error, value] = answers?.[i] ?? [new Error("no answer"), undefined];
    if (error) throw error;
    values[i] = value;
  }
  return values;
}
