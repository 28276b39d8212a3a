/** The child that `erase-redis.test.ts` kills: erases a user and ends itself by SIGKILL when a given step begins. */
import { randomUUID } from "node:crypto";
import { openDataDir } from "../../datasets/storage/data-dir.ts";
import { connectRedis, parseRedisUrl } from "../../datasets/storage/redis.ts";
import { eraseUsers } from "./erase-users.ts";
import { holdRedisSpace } from "./redis-space.ts";
import type { OnStep } from "./steps.ts";

const [, , path, url, userId, last, leaseTtlMs] = process.argv as [
  string,
  string,
  string,
  string,
  string,
  string,
  string,
];
const onStep: OnStep = (step) => {
  if (step === last) process.kill(process.pid, "SIGKILL");
};
const dir = openDataDir(path, "own");
const redis = await holdRedisSpace(dir, {
  connection: await connectRedis(parseRedisUrl(url)),
  owner: randomUUID(),
  nowMs: 0,
  wallMs: Date.now,
  leaseTtlMs: Number(leaseTtlMs),
  onStep,
});
await eraseUsers(dir, { userIds: [userId], nowMs: 0, salt: () => "", redis, onStep });
process.exit(0);
