/** The child that `materialize.test.ts` kills: builds the state, and ends itself by SIGKILL at the n-th progress of a step. */
import { randomUUID } from "node:crypto";
import { writeSync } from "node:fs";
import { openDataDir } from "../../datasets/storage/data-dir.ts";
import { connectRedis, parseRedisUrl } from "../../datasets/storage/redis.ts";
import { materialize } from "./materialize.ts";

const [, , url, path, step, nth] = process.argv as [string, string, string, string, string, string];
let seen = 0;
let begun = false;
const connection = await connectRedis(parseRedisUrl(url));
const report = await materialize({
  connection,
  dir: openDataDir(path, "read"),
  owner: randomUUID(),
  wallMs: Date.now,
  monotonicMs: () => performance.now(),
  signal: new AbortController().signal,
  onProgress: (at, done) => {
    if (!begun) writeSync(1, `${at} ${done}\n`);
    begun = true;
    if (at === step && ++seen === Number(nth)) process.kill(process.pid, "SIGKILL");
  },
  saveEveryMs: 0,
  leaseTtlMs: 400,
});
writeSync(1, JSON.stringify(report));
await connection.close();
