import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import type { DataDir } from "../../datasets/storage/data-dir.ts";
import type { RedisTarget } from "../../datasets/storage/redis.ts";

/** Where the log of a data directory's space is: what touches the log must not take the directory for the whole of it. */
export interface RedisNote {
  readonly prefix: string;
  readonly nodes: readonly string[];
}

const noteFile = (dir: DataDir): string => dir.at("on-redis.json");

/** Notes in the data directory that the space is on Redis from now on. */
export function noteRedis(dir: DataDir, { prefix, nodes }: RedisTarget): void {
  const note: RedisNote = { prefix, nodes: nodes.map(({ host, port }) => `${host}:${port}`) };
  const text = `${JSON.stringify(note)}\n`;
  if (existsSync(noteFile(dir)) && readFileSync(noteFile(dir), "utf8") === text) return;
  writeFileSync(`${noteFile(dir)}.partial`, text);
  renameSync(`${noteFile(dir)}.partial`, noteFile(dir));
}

/** What was noted; undefined for a space that has only been in its directory. */
export function redisNote(dir: DataDir): RedisNote | undefined {
  if (!existsSync(noteFile(dir))) return undefined;
  return JSON.parse(readFileSync(noteFile(dir), "utf8")) as RedisNote;
}
