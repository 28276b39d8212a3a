import type { RedisConnection } from "../../datasets/storage/redis.ts";
import { RedisGroups } from "../../datasets/storage/redis-groups.ts";
import { SLOTS } from "../registry.ts";
import type { FeatureCopies } from "./feature-copies.ts";
import { FeatureKeys } from "./feature-keys.ts";
import type { LoadedFeatures } from "./loaded-features.ts";
import { unpackValue } from "./packed-value.ts";
import { putWanted, type Wanted } from "./wanted.ts";

/** A second attempt finds a slot that moved or a node that was promoted; more would outlast the request. */
const ATTEMPTS = 2;

/** Fetches what a request wants of Redis; what was fetched earlier stands in for what is not answered. */
export class WantedFetch {
  readonly #groups: RedisGroups;
  readonly #keys: FeatureKeys;
  readonly #timeoutMs: number;
  readonly #staleMs: number;

  /** @param options `timeoutMs`: how long an answer is waited for; `staleMs`: how old a stand-in may be */
  constructor(
    connection: RedisConnection,
    { timeoutMs, staleMs }: { readonly timeoutMs: number; readonly staleMs: number },
  ) {
    this.#groups = new RedisGroups(connection.client, ATTEMPTS);
    this.#keys = new FeatureKeys(connection.target.prefix);
    this.#timeoutMs = timeoutMs;
    this.#staleMs = staleMs;
  }

  /** Whether keys are shared out among nodes, a command for each slot. */
  get shared(): boolean {
    return this.#groups.shared;
  }

  /**
   * Puts what is wanted where the request looks, and keeps what was answered.
   * @param copies those in use when asking: if others take their place meanwhile, the answer goes with the old ones
   * @returns false when there was no answer in time
   */
  async fetch(
    wanted: readonly Wanted[],
    loaded: LoadedFeatures,
    copies: FeatureCopies,
  ): Promise<boolean> {
    if (wanted.length === 0) return true;
    const values = await this.#values(wanted);
    for (let i = 0; i < wanted.length; i++) {
      const each = wanted[i] as Wanted;
      const value = values?.[i];
      if (isAnswer(value)) answered(each, value, isAnswer(values?.[i - 1]), loaded, copies);
      else this.#unanswered(each, loaded);
    }
    return values !== undefined;
  }

  /** Puts stand-ins for all that is wanted, without asking. */
  standIn(wanted: readonly Wanted[], loaded: LoadedFeatures): void {
    for (const each of wanted) this.#unanswered(each, loaded);
  }

  /** What was fetched earlier stands in, unless it is too old. */
  #unanswered(wanted: Wanted, loaded: LoadedFeatures): void {
    const { entity, earlier, earlierMs } = wanted;
    loaded.degraded = true;
    const none = Number.isNaN(earlierMs);
    const usable = loaded.nowMs - earlierMs <= this.#staleMs;
    putWanted(wanted, usable ? earlier : undefined, loaded);
    const status = usable ? "stale" : none ? "missing" : "expired";
    loaded.count(entity, status, none ? loaded.nowMs : earlierMs);
  }

  /** Undefined when there was no answer in time. */
  async #values(wanted: readonly Wanted[]): Promise<(Buffer | null | Error)[] | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), this.#timeoutMs);
    });
    const keys = wanted.map(({ entity, key }) => this.#keys.of(entity, key));
    try {
      return await Promise.race([this.#groups.getAll(keys), late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** @param before whether what was wanted before it was answered too */
function answered(
  wanted: Wanted,
  value: Buffer | null,
  before: boolean,
  loaded: LoadedFeatures,
  copies: FeatureCopies,
): void {
  const { entity, key, pair, pairAuthorId } = wanted;
  const { nowMs, asOfMs, userId } = loaded;
  const vector = value === null ? undefined : unpackValue(value, SLOTS[entity]);
  putWanted(wanted, vector, loaded);
  loaded.fresh(entity, vector, nowMs);
  if (entity !== "user_author") copies.keep(entity, key, vector, nowMs, asOfMs);
  else if (pair !== undefined && pairAuthorId !== undefined && before)
    copies.keepPair(userId, pairAuthorId, pair, nowMs);
}

const isAnswer = (value: Buffer | null | Error | undefined): value is Buffer | null =>
  value !== undefined && !(value instanceof Error);
