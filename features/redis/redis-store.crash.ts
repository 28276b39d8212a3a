/** The child that `crash.test.ts` kills: applies the log in batches from where the store is, and tells each position. */
import { writeSync } from "node:fs";
import { connectRedis, parseRedisUrl } from "../../datasets/storage/redis.ts";
import { applyEvent } from "../engine.ts";
import { smallWorld } from "../small-world.fixture.ts";
import { RedisFeatureStore } from "./redis-store.ts";

const [, , url, token, batch] = process.argv as [string, string, string, string, string];
const events = smallWorld(41, { impressions: 900, deletions: true });
const connection = await connectRedis(parseRedisUrl(url));
const store = await RedisFeatureStore.open({
  connection,
  token: Number(token),
  now: Date.now,
  cacheEntries: 200,
});
writeSync(1, `${store.position}\n`);
while (store.position < events.length) {
  const to = Math.min(events.length, store.position + Number(batch));
  const part = events.slice(store.position, to);
  await store.transaction(to, (state) => {
    for (const event of part) applyEvent(state, event);
  });
  writeSync(1, `${store.position}\n`);
}
writeSync(1, "end\n");
await connection.close();
