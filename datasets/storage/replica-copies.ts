import type { Redis } from "ioredis";
import { onlineReplicas } from "./redis-durability.ts";

type Pipeline = ReturnType<Redis["pipeline"]>;
type Replies = readonly (readonly [Error | null, unknown])[];

/** How long a replica may take to have what was written. */
const WAIT_MS = 500;

/**
 * Makes writes wait for replicas of the node that they go to: at least for so many, or with 0 for one where any is
 * connected. Asked over the connection of the writes, because WAIT counts from the last one of its own.
 */
export class ReplicaCopies {
  readonly #wanted: number;
  /** Replicas that a node was seen with last. */
  readonly #online = new WeakMap<Redis, number>();

  constructor(wanted: number) {
    this.#wanted = wanted;
  }

  /** Ends a pipeline of writes by asking for copies of them; what it returns reads all of its replies. */
  ask(node: Redis, pipeline: Pipeline): (replies: Replies) => Promise<boolean> {
    const awaited = Math.max(this.#wanted, Math.min(1, this.#online.get(node) ?? 0));
    if (awaited > 0) pipeline.wait(awaited, WAIT_MS);
    const copied = ([error, copies]: Replies[number]): boolean =>
      error === null && Number(copies) >= awaited;
    if (this.#wanted > 0) return async (replies) => copied(replies.at(-1) as Replies[number]);
    pipeline.info("replication");
    return async (replies) => {
      const [error, info] = replies.at(-1) as Replies[number];
      // Who may not ask can demand them.
      const online = error === null ? onlineReplicas(String(info)) : 0;
      this.#online.set(node, online);
      // The last one may have gone while it was waited for, another have come since the last time.
      if (online === 0) return true;
      if (awaited > 0) return copied(replies.at(-2) as Replies[number]);
      return (await node.wait(1, WAIT_MS).catch(() => 0)) >= 1;
    };
  }
}
