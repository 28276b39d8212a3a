import { setTimeout as delay } from "node:timers/promises";
import keySlot from "cluster-key-slot";
import { Cluster, type Redis } from "ioredis";
import type { RedisScript } from "./redis-script.ts";

export type RedisArgument = string | Buffer | number;

/** A command on one key, sent as `NAME key args…`, or a script on one key. Done twice, it must leave the same as done once. */
export interface KeyCommand {
  readonly key: string;
  readonly call: string | RedisScript;
  readonly args: readonly RedisArgument[];
}

/** Commands of one pipeline: more are sent after these, so that none waits for its answer longer than a command may. */
const PIPELINE = 2_048;
/** Keys of one MGET: others are served between two of them. */
const MULTI_GET = 512;
const ATTEMPTS = 4;
const FIRST_PAUSE_MS = 20;

type Pipeline = ReturnType<Redis["pipeline"]>;

interface Redirection {
  readonly node: string;
  /** A slot that is being moved: the key is at its new node already, which serves it only to who asks so. */
  readonly asking: boolean;
}

/**
 * Runs many commands on one key each: one pipeline on a single server; on a cluster one for each node, all at once. Keys are
 * grouped by the client's slot map; what a node refuses because the slot is elsewhere, or what a node that is gone left
 * unanswered, is grouped anew and sent again, so commands must be idempotent.
 */
export class RedisGroups {
  readonly #client: Redis | Cluster;
  readonly #attempts: number;
  #refreshing: Promise<void> | undefined;

  /** @param attempts times that a command is sent at most */
  constructor(client: Redis | Cluster, attempts = ATTEMPTS) {
    this.#client = client;
    this.#attempts = attempts;
  }

  /** The values of these keys, in their order; null where there is none, the error where none could be had. */
  async getAll(keys: readonly string[]): Promise<(Buffer | null | Error)[]> {
    if (this.#client instanceof Cluster)
      return (await this.#each(keys, (pipeline, i) => {
        pipeline.getBuffer(keys[i] as string);
      })) as (Buffer | null | Error)[];
    const parts: Promise<(Buffer | null | Error)[]>[] = [];
    for (let from = 0; from < keys.length; from += MULTI_GET) {
      const part = keys.slice(from, from + MULTI_GET);
      parts.push(
        this.#client.mgetBuffer(part).catch((error: Error) => new Array(part.length).fill(error)),
      );
    }
    return (await Promise.all(parts)).flat();
  }

  /** The answers in the order of the commands, strings as bytes; an error in its place, none is thrown. */
  async run(commands: readonly KeyCommand[]): Promise<unknown[]> {
    return this.#each(
      commands.map(({ key }) => key),
      (pipeline, i, before) => {
        const { key, call, args } = commands[i] as KeyCommand;
        if (typeof call === "string") pipeline.callBuffer(call, key, ...args);
        else if (isNoScript(before)) pipeline.callBuffer("eval", call.lua, 1, key, ...args);
        else pipeline.callBuffer("evalsha", call.sha, 1, key, ...args);
      },
    );
  }

  async #each(
    keys: readonly string[],
    write: (pipeline: Pipeline, i: number, before: unknown) => void,
  ): Promise<unknown[]> {
    const answers: unknown[] = new Array(keys.length);
    for (let from = 0; from < keys.length; from += PIPELINE) {
      const part = Array.from(
        { length: Math.min(PIPELINE, keys.length - from) },
        (_, i) => from + i,
      );
      await this.#settle(keys, part, answers, write);
    }
    return answers;
  }

  async #settle(
    keys: readonly string[],
    part: readonly number[],
    answers: unknown[],
    write: (pipeline: Pipeline, i: number, before: unknown) => void,
  ): Promise<void> {
    let left = part;
    for (let attempt = 1; ; attempt++) {
      await this.#send(keys, left, answers, write);
      left = left.filter((i) => this.#isWorthAnother(answers[i]));
      if (left.length === 0 || attempt === this.#attempts) return;
      if (left.every((i) => isNoScript(answers[i]))) continue;
      // What was redirected knows its way; the map is wrong for others too.
      if (attempt > 1) await delay(FIRST_PAUSE_MS * 2 ** (attempt - 2));
      await this.#refresh();
    }
  }

  async #send(
    keys: readonly string[],
    indices: readonly number[],
    answers: unknown[],
    write: (pipeline: Pipeline, i: number, before: unknown) => void,
  ): Promise<void> {
    const nodeOf = this.#nodes();
    const groups = new Map<Redis, number[]>();
    for (const i of indices) {
      const node = nodeOf(keys[i] as string, redirection(answers[i]));
      if (node === undefined) {
        answers[i] = new Error("no node of the cluster serves this key");
        continue;
      }
      const group = groups.get(node);
      if (group === undefined) groups.set(node, [i]);
      else group.push(i);
    }
    await Promise.all(
      Array.from(groups, async ([node, group]) => {
        const pipeline = node.pipeline();
        const places: number[] = [];
        let sent = 0;
        for (const i of group) {
          if (redirection(answers[i])?.asking) {
            pipeline.call("asking");
            sent++;
          }
          write(pipeline, i, answers[i]);
          places.push(sent++);
        }
        const replies = await pipeline.exec().catch((error: Error) => error);
        for (let k = 0; k < group.length; k++) {
          const [error, answer] =
            replies instanceof Error
              ? [replies, undefined]
              : (replies?.[places[k] as number] ?? [new Error("no answer"), undefined]);
          answers[group[k] as number] = error ?? answer;
        }
      }),
    );
  }

  #nodes(): (key: string, redirected: Redirection | undefined) => Redis | undefined {
    const client = this.#client;
    if (!(client instanceof Cluster)) return () => client;
    const nodes = new Map(
      client.nodes().map((node) => [`${node.options.host}:${node.options.port}`, node]),
    );
    return (key, redirected) => {
      const name = redirected?.node ?? client.slots[keySlot(key)]?.[0];
      return name === undefined ? undefined : nodes.get(name);
    };
  }

  #isWorthAnother(answer: unknown): boolean {
    if (!(answer instanceof Error)) return false;
    if (isNoScript(answer)) return true;
    if (!(this.#client instanceof Cluster)) return false;
    // Without a reply the node is gone or going; of replies only those that another node or moment would not give.
    return answer.name !== "ReplyError" || PASSING.test(answer.message);
  }

  #refresh(): Promise<void> {
    const client = this.#client;
    if (!(client instanceof Cluster)) return Promise.resolve();
    // A failure is met again at the next attempt.
    this.#refreshing ??= new Promise<void>((resolve) => {
      client.refreshSlotsCache(() => resolve());
    }).finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }
}

const PASSING = /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN|MASTERDOWN|LOADING|READONLY) /;

const isNoScript = (answer: unknown): boolean =>
  answer instanceof Error && answer.message.startsWith("NOSCRIPT");

function redirection(answer: unknown): Redirection | undefined {
  if (!(answer instanceof Error)) return undefined;
  const found = /^(MOVED|ASK) \d+ (\S+)$/.exec(answer.message);
  return found === null ? undefined : { node: found[2] as string, asking: found[1] === "ASK" };
}
