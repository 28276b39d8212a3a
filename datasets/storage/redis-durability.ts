import type { Redis } from "ioredis";

/** What an acknowledged write survives on one server, as far as its settings tell. */
export interface RedisDurability {
  /** `always`: on disk before the answer. `weaker`: a crash takes back what was acknowledged. */
  readonly level: "always" | "weaker" | "unknown";
  readonly reason: string;
  /** Replicas online at that time; undefined where the server does not tell, and nothing waits for one. */
  readonly replicas: number | undefined;
}

/** Reads a server's settings of its append-only file; many hosted ones do not show them. */
export async function readDurability(client: Redis): Promise<RedisDurability> {
  const replicas = await client.info("replication").then(onlineReplicas, () => undefined);
  return { ...(await readSync(client)), replicas };
}

async function readSync(client: Redis): Promise<Pick<RedisDurability, "level" | "reason">> {
  const setting = async (name: string): Promise<string | undefined> =>
    ((await client.config("GET", name)) as string[])[1];
  try {
    const appendOnly = await setting("appendonly");
    const sync = await setting("appendfsync");
    if (appendOnly === undefined || sync === undefined)
      return { level: "unknown", reason: "the server does not show appendonly and appendfsync" };
    if (appendOnly === "yes" && sync === "always")
      return { level: "always", reason: "appendonly yes, appendfsync always" };
    return {
      level: "weaker",
      reason:
        appendOnly === "yes"
          ? `appendfsync is ${sync}: a crash of the machine takes back what was acknowledged since the last sync`
          : "appendonly is no: a restart takes back everything since the last snapshot",
    };
  } catch (error) {
    return {
      level: "unknown",
      reason: `the settings cannot be read: ${(error as Error).message}`,
    };
  }
}

/**
 * Replicas that follow a master closely enough to acknowledge its writes, out of `INFO replication`. One that is still
 * being filled holds nothing that could be promoted.
 */
export function onlineReplicas(info: string): number {
  return info.match(/^slave\d+:.*\bstate=online\b/gm)?.length ?? 0;
}
