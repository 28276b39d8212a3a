import type { Redis } from "ioredis";
import { onlineReplicas } from "./redis-durability.ts";

type Pipeline = ReturnType<Redis["pipeline"]>;
type Replies = readonly (readonly [Error | null, unknown])[];

/** How long a replica may take to have what was written. */
const WAIT_MS = 500;

/** What became of writes: `lost` are such that were done before these. */
export type Copied = "copied" | "too_few" | "lost";

/**
 * Makes writes wait for replicas of the node that they go to: at least for so many, or with 0 for one where any is
 * connected. Asked over the connection of the writes, because WAIT counts from the last one of its own. Notices when a
 * replica was made master that did not have what was done.
 */
export class ReplicaCopies {
  readonly #wanted: number;
  /** Replicas that a node was seen with last. */
  readonly #online = new WeakMap<Redis, number>();
  /** History of a master → how far in it what was done goes. A replica that takes over begins another and names the one before. */
  readonly #done = new Map<string, number>();

  constructor(wanted: number) {
    this.#wanted = wanted;
  }

  /** Ends a pipeline of writes by asking for copies of them; what it returns reads all of its replies. */
  ask(node: Redis, pipeline: Pipeline): (replies: Replies) => Promise<Copied> {
    const awaited = Math.max(this.#wanted, Math.min(1, this.#online.get(node) ?? 0));
    // Right behind the writes: what others write meanwhile is not waited for.
    pipeline.info("replication");
    if (awaited > 0) pipeline.wait(awaited, WAIT_MS);
    return async (replies) => {
      const [error, told] = replies.at(awaited > 0 ? -2 : -1) as Replies[number];
      // Who may not ask can demand copies.
      const info = error === null ? String(told) : "";
      const online = onlineReplicas(info);
      this.#online.set(node, online);
      if (this.#hasLost(info)) return "lost";
      const copies = awaited > 0 ? (replies.at(-1) as Replies[number]) : undefined;
      if (!(await this.#areThere(node, online, Math.max(1, awaited), copies))) return "too_few";
      const { master_replid: history, master_repl_offset: offset } = fieldsOf(info);
      if (history !== undefined) this.#done.set(history, Number(offset));
      return "copied";
    };
  }

  async #areThere(
    node: Redis,
    online: number,
    awaited: number,
    copies: Replies[number] | undefined,
  ): Promise<boolean> {
    // The last one may have gone while it was waited for, another have come since the last time.
    if (online === 0 && this.#wanted === 0) return true;
    if (copies === undefined) return (await node.wait(1, WAIT_MS).catch(() => 0)) >= awaited;
    return copies[0] === null && Number(copies[1]) >= awaited;
  }

  #hasLost(info: string): boolean {
    const { master_replid2: before, second_repl_offset: from } = fieldsOf(info);
    const done = before === undefined ? undefined : this.#done.get(before);
    return done !== undefined && done >= Number(from);
  }
}

const fieldsOf = (info: string): Record<string, string | undefined> =>
  Object.fromEntries(info.split("\r\n").map((line) => line.split(":") as [string, string]));
