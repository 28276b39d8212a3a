import { writeSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import type { Event } from "../../datasets/events.ts";
import { openLmdbEventLog } from "../../datasets/log/lmdb-event-log.ts";
import { openRedisEventLog } from "../../datasets/log/redis-event-log.ts";
import { SpoolingLog } from "../../datasets/log/spooling-log.ts";
import { openDataDir } from "../../datasets/storage/data-dir.ts";
import { connectRedis, parseRedisUrl } from "../../datasets/storage/redis.ts";
import { spoolPath } from "../state/events-aside.ts";
import { crashFlags, dieAsTold } from "./crash-death.ts";

/**
 * The event log of a server, on Redis with events aside while that is gone, behind the write API's address and nothing else:
 * it starts in a fraction of the time. It may end itself as a whole one does.
 */
const flags = crashFlags();
dieAsTold(flags);
const dir = openDataDir(String(flags["data-dir"]), "own");
const connection = await connectRedis(parseRedisUrl(String(flags["redis-url"])));
const log = new SpoolingLog(await openRedisEventLog(connection), openLmdbEventLog(spoolPath(dir)), {
  batch: Number(flags["spool-batch"]),
});
log.begin(Date.now);

const server = createServer((request, response) => {
  const answer = async (): Promise<object> => {
    const { events } = (await json(request)) as { events: Event[] };
    const results = await log.append(events, Date.now());
    return {
      results: results.map(({ duplicate }, index) => ({
        index,
        status: duplicate ? "duplicate" : "accepted",
      })),
    };
  };
  answer().then(
    (body) => response.end(JSON.stringify(body)),
    (error: Error) => {
      response.statusCode = 503;
      response.end(JSON.stringify({ detail: error.message }));
    },
  );
});
server.listen(0, "127.0.0.1", () => {
  writeSync(1, `port ${(server.address() as AddressInfo).port}\n`);
});
