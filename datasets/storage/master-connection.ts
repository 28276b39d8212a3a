import type { Cluster, Redis } from "ioredis";
import { RoostError } from "../../errors.ts";
import { connectRedis, type RedisConnection } from "./redis.ts";

// A master that died is found to be gone sooner than its cluster replaces it.
const CONNECT_TIMEOUT_MS = 1_000;

/**
 * A plain connection of its own to the server that holds one key: for commands that block a connection, and for several
 * that must go over the same one. On a cluster it follows the key to another master. Commands fail at once while it is
 * lost; nothing is sent again by itself.
 */
export class MasterConnection {
  readonly #shared: RedisConnection;
  readonly #key: string;
  #slot: number | undefined;
  #address: string | undefined;
  #own: RedisConnection | undefined;
  #connecting: Promise<Redis> | undefined;
  #astray = false;
  #closed = false;

  constructor(shared: RedisConnection, key: string) {
    this.#shared = shared;
    this.#key = key;
  }

  /**
   * The connection's client; made when first asked for, and anew when the key is held elsewhere.
   * @throws REDIS_UNAVAILABLE when there is none that commands can be sent over
   */
  async client(): Promise<Redis> {
    if (this.#closed) throw this.#unavailable("the connection was closed");
    if (this.#own?.client.status === "ready" && !this.#astray) return this.#own.client as Redis;
    // Who asks meanwhile gets the same one.
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  async #connect(): Promise<Redis> {
    const address = await this.#owner();
    if (this.#own === undefined || address !== this.#address) {
      this.#drop();
      const own = await connectRedis(
        address === undefined
          ? this.#shared.target
          : { ...this.#shared.target, kind: "single", nodes: [hostAndPort(address)] },
        undefined,
        CONNECT_TIMEOUT_MS,
      );
      // Closed while it was made.
      if (this.#closed) own.client.disconnect();
      this.#own = own;
      this.#address = address;
    }
    this.#astray = false;
    const { client } = this.#own;
    if (client.status !== "ready") throw this.#unavailable(`the connection is ${client.status}`);
    return client as Redis;
  }

  /** To be told that the server refused a command because the key is not, or no longer, written there. */
  moved(): void {
    this.#astray = true;
  }

  close(): void {
    this.#closed = true;
    this.#drop();
  }

  #drop(): void {
    this.#own?.client.disconnect();
    this.#own = undefined;
  }

  /** `host:port` of the master that holds the key; undefined where there is but one server. */
  async #owner(): Promise<string | undefined> {
    if (this.#shared.target.kind === "single") return undefined;
    const cluster = this.#shared.client as Cluster;
    try {
      this.#slot ??= (await cluster.cluster("KEYSLOT", this.#key)) as number;
    } catch (error) {
      throw this.#unavailable((error as Error).message, error);
    }
    // Its failure leaves the map that was known.
    await new Promise<void>((resolve) => cluster.refreshSlotsCache(() => resolve()));
    const address = cluster.slots[this.#slot]?.[0];
    if (address === undefined) throw this.#unavailable(`nobody holds slot ${this.#slot}`);
    return address;
  }

  #unavailable(why: string, cause?: unknown): RoostError {
    return new RoostError("REDIS_UNAVAILABLE", `${this.#key}: ${why}`, cause);
  }
}

function hostAndPort(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
}
