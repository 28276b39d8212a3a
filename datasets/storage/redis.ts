import { readFileSync } from "node:fs";
import type { ConnectionOptions } from "node:tls";
import { Cluster, Redis } from "ioredis";
import { RoostError } from "../../errors.ts";

/** One Redis or one Redis Cluster, as a URL names it. */
export interface RedisTarget {
  readonly kind: "single" | "cluster";
  /** Cluster: some of its nodes, the others are found. */
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  readonly tls: boolean;
  /** File of the certificate authority that signed the servers' certificates; the system's authorities when absent. */
  readonly caFile: string | undefined;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly db: number;
  /** What every key begins with: one space a prefix. */
  readonly prefix: string;
}

export interface RedisConnection {
  readonly client: Redis | Cluster;
  readonly target: RedisTarget;
  close(): Promise<void>;
}

const DEFAULT_PORT = 6379;
const URL_FORM =
  "must be redis://[user:password@]host[:port][/db], rediss://… for TLS, or redis+cluster://host:port,host:port,… (rediss+cluster://…), with ?prefix=… and ?ca=FILE as wanted";
const SHAPE =
  /^(redis|rediss)(\+cluster)?:\/\/(?:([^:@/]*)(?::([^@/]*))?@)?([^/?#]+)(?:\/([^?#]*))?(?:\?([^#]*))?$/;

/**
 * Reads the one setting that says where Redis is. User name and password are percent-encoded, an IPv6 host stands in
 * brackets; a cluster has no databases.
 * @throws BAD_CONFIG naming what is wrong, never the password
 */
export function parseRedisUrl(url: string): RedisTarget {
  const found = SHAPE.exec(url);
  if (found === null) throw bad(URL_FORM);
  const [, scheme, cluster, username, password, hosts, path, query] = found;
  const parameters = new URLSearchParams(query ?? "");
  for (const name of parameters.keys())
    if (name !== "prefix" && name !== "ca") throw bad(`?${name}= is unknown; ${URL_FORM}`);
  const nodes = (hosts as string).split(",").map(hostAndPort);
  const kind = cluster === undefined ? "single" : "cluster";
  if (kind === "single" && nodes.length > 1)
    throw bad("several hosts are a cluster: begin it with redis+cluster:// or rediss+cluster://");
  const database = path ?? "";
  if (!/^\d{0,4}$/.test(database)) throw bad(`/${database} is no database number`);
  if (kind === "cluster" && Number(database) > 0)
    throw bad("a cluster has no databases: tell spaces apart by ?prefix=");
  const prefix = parameters.get("prefix") ?? "roost:";
  if (!/^[\w.:-]{1,64}$/.test(prefix))
    throw bad("?prefix= takes 1 to 64 letters, digits and . : _ -");
  const tls = scheme === "rediss";
  const caFile = parameters.get("ca") ?? undefined;
  if (caFile !== undefined && !tls) throw bad("?ca= is for TLS: begin the URL with rediss");
  return {
    kind,
    nodes,
    tls,
    caFile,
    username: username ? decoded(username) : undefined,
    password: password ? decoded(password) : undefined,
    db: Number(database),
    prefix,
  };
}

/** Longest wait for the first connection: a server that starts beside Redis meets one that is still loading. */
const CONNECT_TIMEOUT_MS = 10_000;
/** A command that takes this long has failed: its caller has given up or is about to. */
const COMMAND_TIMEOUT_MS = 2_000;
const MOST_RETRY_DELAY_MS = 500;

/**
 * Connects, and resolves when commands can be sent. Lost connections are taken up again in the background; while one is
 * lost, commands fail at once instead of queueing up.
 * @param onError told of connection errors; every command that fails because of one fails by itself too
 * @throws REDIS_UNAVAILABLE when there is no answer in time or it is a refusal, BAD_CONFIG when the certificate authority cannot be read
 */
export async function connectRedis(
  target: RedisTarget,
  onError: (error: Error) => void = () => {},
  connectTimeoutMs = CONNECT_TIMEOUT_MS,
): Promise<RedisConnection> {
  const options = {
    ...(target.username === undefined ? {} : { username: target.username }),
    ...(target.password === undefined ? {} : { password: target.password }),
    ...(target.tls ? { tls: tlsOptions(target) } : {}),
    enableOfflineQueue: false,
    // What was sent over a connection that broke may have been done: who sent it decides whether to send it again.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    commandTimeout: COMMAND_TIMEOUT_MS,
    connectTimeout: COMMAND_TIMEOUT_MS,
    enableReadyCheck: true,
  };
  const delayMs = (attempt: number): number => Math.min(50 * attempt, MOST_RETRY_DELAY_MS);
  const client =
    target.kind === "single"
      ? new Redis({
          ...options,
          ...target.nodes[0],
          db: target.db,
          retryStrategy: delayMs,
          lazyConnect: true,
        })
      : new Cluster([...target.nodes], {
          redisOptions: options,
          enableOfflineQueue: false,
          enableReadyCheck: true,
          clusterRetryStrategy: delayMs,
          lazyConnect: true,
          slotsRefreshTimeout: COMMAND_TIMEOUT_MS,
          slotsRefreshInterval: 5_000,
          // A name that resolves to one address behind which all nodes stand must not be looked up for a certificate.
          dnsLookup: (address, callback) => callback(null, address),
        });
  let lastError: Error | undefined;
  let refused: (error: Error) => void = () => {};
  client.on("error", (error: Error) => {
    lastError = error;
    // No waiting makes a password right.
    if (/WRONGPASS|NOAUTH|NOPERM/.test(error.message)) refused(error);
    onError(error);
  });
  let timer: NodeJS.Timeout | undefined;
  try {
    await Promise.race([
      readied(client),
      new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(lastError ?? new Error("no answer")), connectTimeoutMs);
        refused = reject;
      }),
    ]);
  } catch (error) {
    client.disconnect();
    const where = target.nodes.map(({ host, port }) => `${host}:${port}`).join(", ");
    throw new RoostError("REDIS_UNAVAILABLE", `${where}: ${(error as Error).message}`, error);
  } finally {
    clearTimeout(timer);
  }
  return {
    client,
    target,
    close: async () => {
      await client.quit().catch(() => client.disconnect());
    },
  };
}

/** Connects, again and again while that fails, until commands can be sent. */
async function readied(client: Redis | Cluster): Promise<void> {
  const ready = new Promise<void>((resolve) => client.once("ready", () => resolve()));
  // The first attempt's failure is not the last word: the retry strategy goes on.
  await Promise.race([ready, client.connect().catch(() => ready)]);
  await ready;
}

function tlsOptions({ caFile }: RedisTarget): ConnectionOptions {
  if (caFile === undefined) return {};
  try {
    return { ca: readFileSync(caFile) };
  } catch (error) {
    throw bad(`?ca=${caFile} cannot be read`, error);
  }
}

function hostAndPort(text: string): { host: string; port: number } {
  const found = /^(\[[0-9a-fA-F:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/.exec(text);
  const port = Number(found?.[2] ?? DEFAULT_PORT);
  if (found === null || port < 1 || port > 65_535) throw bad(`${text} is no host:port`);
  return { host: (found[1] as string).replace(/^\[|\]$/g, ""), port };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw bad("user name and password must be percent-encoded");
  }
}

const bad = (detail: string, cause?: unknown): RoostError =>
  new RoostError("BAD_CONFIG", `the Redis URL ${detail}`, cause);
