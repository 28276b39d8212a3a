import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import type { Cluster, Redis } from "ioredis";
import { postMember } from "../../candidates/timelines/post-member.ts";
import { timelineKeys } from "../../candidates/timelines/redis-timelines.ts";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import { scanKeys } from "../../datasets/storage/redis-scan.ts";

/** What an id looks like: digits, eight bytes in either order, two float64 of 32 bits each, a timeline's member. */
export function formsOf(id: string): Buffer[] {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(id));
  const halves = Buffer.alloc(16);
  halves.writeDoubleLE(Number(BigInt(id) >> 32n), 0);
  halves.writeDoubleLE(Number(BigInt(id) & 0xffffffffn), 8);
  return [
    Buffer.from(id),
    bytes,
    Buffer.from(bytes).reverse(),
    halves,
    Buffer.from(postMember(id)),
  ];
}

/** Files under `dir` that hold an id in any form. Parquet is compressed: its records are to be read. */
export function filesWith(dir: string, id: string): string[] {
  const forms = formsOf(id);
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => {
      const content = readFileSync(file);
      return forms.some((form) => content.includes(form));
    })
    .map((file) => relative(dir, file))
    .sort();
}

/** Keys under the prefix that hold an id in any form, in their name or value. */
export async function keysWith({ client, target }: RedisConnection, id: string): Promise<string[]> {
  const forms = formsOf(id);
  const keys = [...(await scanKeys(client, target.prefix))].sort();
  const contents = await Promise.all(keys.map((key) => contentOf(client, key)));
  return keys.filter((key, i) => {
    const content = Buffer.concat([Buffer.from(key), contents[i] as Buffer]);
    return forms.some((form) => content.includes(form));
  });
}

/** Timelines in which a post stands. */
export async function timelinesWith(
  { client, target }: RedisConnection,
  postId: string,
): Promise<string[]> {
  const keys = [...(await scanKeys(client, timelineKeys(target.prefix)))].sort();
  const scores = await Promise.all(keys.map((key) => client.zscore(key, postMember(postId))));
  return keys.filter((_, i) => scores[i] !== null);
}

/** A value's bytes; DUMP would compress them. */
async function contentOf(client: Redis | Cluster, key: string): Promise<Buffer> {
  const read: Record<string, () => Promise<unknown>> = {
    string: () => client.getBuffer(key),
    zset: () => client.zrangeBuffer(key, "0", "-1"),
    hash: () => client.hgetallBuffer(key).then(Object.entries),
    stream: () => client.xrangeBuffer(key, "-", "+"),
  };
  const type = await client.type(key);
  return bytesOf(await (read[type] as () => Promise<unknown>)());
}

const bytesOf = (value: unknown): Buffer =>
  Array.isArray(value)
    ? Buffer.concat(value.map(bytesOf))
    : Buffer.isBuffer(value)
      ? value
      : Buffer.from(String(value));
