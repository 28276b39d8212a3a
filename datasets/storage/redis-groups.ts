import { setTimeout as delay } from "node:timers/promises";
import keySlot from "cluster-key-slot";
import { Cluster, type Redis } from "ioredis";
import { RoostError } from "../../errors.ts";
import type { RedisScript } from "./redis-script.ts";
import { ReplicaCopies } from "./replica-copies.ts";

export type RedisArgument = string | Buffer | number;

/** A command on one key, sent as `NAME key args…`, or a script on one key. Done twice, it must leave the same as done once. */
export interface KeyCommand {
  readonly key: string;
  readonly call: string | RedisScript;
  readonly args: readonly RedisArgument[];
}

/** Keys of one pipeline: more are sent after these, so that none waits for its answer longer than a command may. */
const PIPELINE = 4_096;
/** Keys of one MGET or script: others are served between two of them. */
const TOGETHER = 256;
const ATTEMPTS = 4;
const FIRST_PAUSE_MS = 20;
const TOO_FEW = new Error("too few replicas have what was written");

const LOST = new RoostError(
  "BAD_STORE",
  "a replica that lagged became master: Redis lost what it had acknowledged. Restart to build it anew",
);

type Pipeline = ReturnType<Redis["pipeline"]>;

/** How a piece of work is put into a pipeline. */
interface Work {
  readonly keys: readonly string[];
  /** Whether one command takes many keys and answers with an array. */
  readonly together: boolean;
  readonly writes: boolean;
  /** Adds one command for the keys with these indices; `before` is how it failed before. */
  add(pipeline: Pipeline, indices: readonly number[], before: unknown): void;
}

/** Keys that one command takes. */
interface Unit {
  readonly indices: number[];
  readonly asking: boolean;
}

/**
 * Reads and writes many keys: one pipeline on a single server; on a cluster one for each node, all at once, in which keys of
 * one slot share a command. Keys are grouped by the client's slot map; what a node refuses because the slot is elsewhere, or
 * what a node that is gone left unanswered, is grouped anew and sent again, so commands must be idempotent. Answers come in
 * the order of the keys; a failure stands in its key's place, none is thrown.
 */
export class RedisGroups {
  readonly #client: Redis | Cluster;
  readonly #attempts: number;
  readonly #copies: ReplicaCopies | undefined;
  readonly #onLost: () => void;
  readonly #slots = new Map<string, number>();
  #refreshing: Promise<void> | undefined;

  /**
   * @param attempts times that a command is sent at most
   * @param replicas of each node that must have what was written, or it has failed; 0: one where any is connected; none is
   * waited for when absent, nor by reads
   * @param onLost told when a node does not have what it had acknowledged: writes to it then fail with BAD_STORE
   */
  constructor(
    client: Redis | Cluster,
    attempts = ATTEMPTS,
    replicas?: number,
    onLost: () => void = () => {},
  ) {
    this.#client = client;
    this.#attempts = attempts;
    this.#onLost = onLost;
    this.#copies = replicas === undefined ? undefined : new ReplicaCopies(replicas);
  }

  /** Whether keys are shared out among nodes, a command for each slot. */
  get shared(): boolean {
    return this.#client instanceof Cluster;
  }

  /** The values of these keys; null where there is none. */
  async getAll(keys: readonly string[]): Promise<(Buffer | null | Error)[]> {
    const answers = await this.#each({
      keys,
      together: true,
      writes: false,
      add: (pipeline, indices) => {
        pipeline.mgetBuffer(indices.map((i) => keys[i] as string));
      },
    });
    return answers as (Buffer | null | Error)[];
  }

  /**
   * Runs a script on all these keys. It gets some of them at a time, as KEYS, with the argument of each in the same place of
   * ARGV and then `last`, and answers with an array in the order of KEYS.
   */
  runScript(
    script: RedisScript,
    keys: readonly string[],
    args: readonly RedisArgument[],
    last: RedisArgument,
  ): Promise<unknown[]> {
    return this.#each({
      keys,
      together: true,
      writes: true,
      add: (pipeline, indices, before) => {
        addScript(
          pipeline,
          script,
          indices.map((i) => keys[i] as string),
          [...indices.map((i) => args[i] as RedisArgument), last],
          before,
        );
      },
    });
  }

  /** Runs commands on one key each. Answers that are strings come as bytes. */
  run(commands: readonly KeyCommand[]): Promise<unknown[]> {
    return this.#each({
      keys: commands.map(({ key }) => key),
      together: false,
      writes: true,
      add: (pipeline, [i], before) => {
        const { key, call, args } = commands[i as number] as KeyCommand;
        if (typeof call === "string") pipeline.callBuffer(call, key, ...args);
        else addScript(pipeline, call, [key], args, before);
      },
    });
  }

  async #each(work: Work): Promise<unknown[]> {
    const { keys } = work;
    const answers: unknown[] = new Array(keys.length);
    for (let from = 0; from < keys.length; from += PIPELINE) {
      const n = Math.min(PIPELINE, keys.length - from);
      let left: readonly number[] = Array.from({ length: n }, (_, i) => from + i);
      for (let attempt = 1; ; attempt++) {
        await this.#send(work, left, answers);
        left = left.filter((i) => this.#isWorthAnother(answers[i]));
        if (left.length === 0 || attempt === this.#attempts) break;
        if (left.every((i) => isNoScript(answers[i]))) continue;
        if (attempt > 1) await delay(FIRST_PAUSE_MS * 2 ** (attempt - 2));
        await this.#refresh();
      }
    }
    return answers;
  }

  async #send(work: Work, left: readonly number[], answers: unknown[]): Promise<void> {
    await Promise.all(
      Array.from(this.#grouped(work, left, answers), async ([node, units]) => {
        const pipeline = node.pipeline();
        for (const { indices, asking } of units) {
          if (asking) pipeline.call("asking");
          work.add(pipeline, indices, answers[indices[0] as number]);
        }
        const copied = work.writes ? this.#copies?.ask(node, pipeline) : undefined;
        const replies = await pipeline.exec().catch((error: Error) => error);
        const answered = Array.isArray(replies) && copied !== undefined;
        const told = answered ? await copied(replies) : "copied";
        if (told === "lost") this.#onLost();
        const behind = told === "copied" ? undefined : told === "lost" ? LOST : TOO_FEW;
        let place = 0;
        for (const { indices, asking } of units) {
          if (asking) place++;
          const [error, answer] =
            replies instanceof Error ? [replies] : (replies?.[place] ?? [new Error("no answer")]);
          place++;
          for (let k = 0; k < indices.length; k++)
            answers[indices[k] as number] =
              error ?? behind ?? (work.together ? (answer as unknown[])[k] : answer);
        }
      }),
    );
  }

  #grouped(
    { keys, together }: Work,
    left: readonly number[],
    answers: unknown[],
  ): Iterable<[Redis, Unit[]]> {
    const client = this.#client;
    if (!(client instanceof Cluster)) {
      const units: Unit[] = [];
      const size = together ? TOGETHER : 1;
      for (let from = 0; from < left.length; from += size)
        units.push({ indices: left.slice(from, from + size), asking: false });
      return [[client, units]];
    }
    const nodes = new Map<string, Redis>();
    for (const node of client.nodes()) nodes.set(`${node.options.host}:${node.options.port}`, node);
    const groups = new Map<Redis, Unit[]>();
    const open = new Map<number, Unit>();
    for (const i of left) {
      const before = answers[i];
      const slot = this.#slotOf(keys[i] as string);
      // A slot on its way is split between two nodes, which serve only keys that are all on one side.
      const alone = !together || isSplit(before);
      const unit = alone ? undefined : open.get(slot);
      if (unit !== undefined && unit.indices.length < TOGETHER) {
        unit.indices.push(i);
        continue;
      }
      const redirected = redirection(before);
      const node = nodes.get(redirected ?? client.slots[slot]?.[0] ?? "");
      if (node === undefined) {
        answers[i] = new Error("no node of the cluster serves this key");
        continue;
      }
      const begun = { indices: [i], asking: isAsk(before) };
      if (!alone) open.set(slot, begun);
      const units = groups.get(node);
      if (units === undefined) groups.set(node, [begun]);
      else units.push(begun);
    }
    return groups;
  }

  /** Few tags stand for many keys, and looking one up costs a tenth of computing it. */
  #slotOf(key: string): number {
    const from = key.indexOf("{");
    const to = from < 0 ? -1 : key.indexOf("}", from + 1);
    if (to <= from + 1) return keySlot(key);
    const tag = key.slice(from, to + 1);
    let slot = this.#slots.get(tag);
    if (slot === undefined) {
      if (this.#slots.size >= REMEMBERED_TAGS) this.#slots.clear();
      slot = keySlot(tag);
      this.#slots.set(tag, slot);
    }
    return slot;
  }

  #isWorthAnother(answer: unknown): boolean {
    if (!(answer instanceof Error) || answer === LOST) return false;
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

const REMEMBERED_TAGS = 10_000;

function addScript(
  pipeline: Pipeline,
  { sha, lua }: RedisScript,
  keys: readonly string[],
  args: readonly RedisArgument[],
  before: unknown,
): void {
  if (isNoScript(before)) pipeline.callBuffer("eval", lua, keys.length, ...keys, ...args);
  else pipeline.callBuffer("evalsha", sha, keys.length, ...keys, ...args);
}

const PASSING = /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN|MASTERDOWN|LOADING|READONLY) /;

const says = (answer: unknown, code: string): boolean =>
  answer instanceof Error && answer.message.startsWith(code);
const isNoScript = (answer: unknown): boolean => says(answer, "NOSCRIPT");
const isAsk = (answer: unknown): boolean => says(answer, "ASK ");
const isSplit = (answer: unknown): boolean => isAsk(answer) || says(answer, "TRYAGAIN");

/** The node that a refusal names. */
function redirection(answer: unknown): string | undefined {
  if (!says(answer, "MOVED ") && !says(answer, "ASK ")) return undefined;
  return (answer as Error).message.split(" ")[2];
}
