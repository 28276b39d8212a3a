import { randomBytes, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { Id } from "../../datasets/ids.ts";
import { openLmdbEventLog } from "../../datasets/log/lmdb-event-log.ts";
import { type DataDir, openDataDir } from "../../datasets/storage/data-dir.ts";
import { RoostError } from "../../errors.ts";
import { closeInTurn } from "../close-in-turn.ts";
import { deletedUsers } from "../erasure/deleted-users.ts";
import { type ErasureReceipt, eraseUsers } from "../erasure/erase-users.ts";
import type { ErasedOnRedis, RedisSpace } from "../erasure/redis-space.ts";
import type { OnStep } from "../erasure/steps.ts";
import { eventsAside } from "../state/events-aside.ts";
import { redisNote } from "../state/redis-note.ts";
import { settingsOf, withSettings } from "./settings-options.ts";

export function eraseCommand(): Command {
  return withSettings(
    new Command("erase")
      .description("remove every record of users from a space that nobody serves")
      .option("--user <id>", "who is erased", userId)
      .option("--deleted", "everybody whose deletion the log tells")
      .option("--json", "print the receipt as JSON, with --deleted a list of them"),
  ).action(async (flags: Record<string, unknown>) => {
    const { user, deleted, json } = flags as { user?: string; deleted?: true; json?: true };
    if ((user === undefined) === (deleted === undefined))
      throw new RoostError("BAD_ARGUMENT", "say who is erased: --user ID or --deleted");
    const { dataDir, redisUrl } = settingsOf(flags);
    if (!existsSync(dataDir))
      throw new RoostError("BAD_ARGUMENT", `there is no data directory ${dataDir}`);
    const opened: (() => unknown)[] = [];
    const onStep: OnStep = (step) => process.stderr.write(`${step} …\n`);
    try {
      const dir = openDataDir(dataDir, "own");
      opened.push(() => dir.close());
      const aside = await eventsAside(dir);
      if (aside > 0)
        throw new RoostError(
          "BAD_ARGUMENT",
          `${aside} events wait aside for Redis: start the server until they have gone on, then erase`,
        );
      const nowMs = Date.now();
      const redis = await openRedis(dir, redisUrl, { nowMs, onStep }, opened);
      const userIds = user === undefined ? await deletedIn(dir, redis) : [user];
      const receipts =
        userIds.length === 0
          ? []
          : await eraseUsers(dir, {
              userIds,
              nowMs,
              salt: () => randomBytes(16).toString("hex"),
              onStep,
              ...(redis && { redis }),
            });
      const said = user === undefined ? receipts : receipts[0];
      process.stdout.write(json ? `${JSON.stringify(said, null, 2)}\n` : readable(receipts));
    } finally {
      await closeInTurn(opened);
    }
  });
}

/** @param redis when set, the whole log has been rolled into segments */
async function deletedIn(dir: DataDir, redis: RedisSpace | undefined): Promise<string[]> {
  if (redis !== undefined || !existsSync(join(dir.log, "data.mdb")))
    return deletedUsers({ segments: dir.segments });
  const log = openLmdbEventLog(dir.log, { readOnly: true });
  try {
    return await deletedUsers({ segments: dir.segments, log });
  } finally {
    await log.close();
  }
}

/** The part of the space that is on Redis; undefined without one. @throws BAD_ARGUMENT when it is on another, or not said where */
async function openRedis(
  dir: DataDir,
  redisUrl: string | undefined,
  options: { readonly nowMs: number; readonly onStep: OnStep },
  opened: (() => unknown)[],
): Promise<RedisSpace | undefined> {
  const note = redisNote(dir);
  const where = `the log of this space is on Redis, under the prefix ${note?.prefix} at ${note?.nodes.join(", ")}`;
  if (redisUrl === undefined) {
    if (note === undefined) return undefined;
    throw new RoostError("BAD_ARGUMENT", `${where}: name it by --redis-url`);
  }
  const { connectRedis, parseRedisUrl } = await import("../../datasets/storage/redis.ts");
  const { holdRedisSpace } = await import("../erasure/redis-space.ts");
  const target = parseRedisUrl(redisUrl);
  if (note !== undefined && note.prefix !== target.prefix)
    throw new RoostError("BAD_ARGUMENT", `${where}, not under ${target.prefix}`);
  const connection = await connectRedis(target);
  opened.push(() => connection.close());
  const redis = await holdRedisSpace(dir, {
    connection,
    owner: randomUUID(),
    wallMs: Date.now,
    ...options,
  });
  opened.push(() => redis.release());
  return redis;
}

function userId(text: string): string {
  const parsed = Id.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError(parsed.error.issues[0]?.message ?? "must be an id");
}

function onRedis({
  stream_records,
  event_ids,
  feature_keys,
  timeline_keys,
  files,
}: ErasedOnRedis): string {
  const refused = files.refused.map((why) => `; still on the disk of ${why}`).join("");
  return `redis      ${stream_records} records of the stream, ${event_ids} event ids, ${feature_keys} keys of features and ${timeline_keys} of timelines; files written anew by ${files.done} of ${files.asked} servers${refused}`;
}

function readable(receipts: readonly ErasureReceipt[]): string {
  const [first] = receipts;
  if (first === undefined) return "the log tells of no deleted user\n";
  return [
    ...receipts.flatMap(figuresOf),
    `segments   ${first.segments_rewritten.length} written anew`,
    ...(first.redis === undefined ? [] : [onRedis(first.redis)]),
    "the next start builds features and snapshot again; models are as they were trained\n",
  ].join("\n");
}

function figuresOf(receipt: ErasureReceipt): string[] {
  const list = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .map(([type, count]) => `${count} ${type}`)
      .join(", ") || "none";
  return [
    `receipt    ${receipt.user_sha256.slice(0, 16)}`,
    `removed    ${list(receipt.records_removed)}`,
    `redacted   ${list(receipt.records_redacted)}`,
    `sticky     ${receipt.sticky_documents_removed} arms forgotten`,
  ];
}
