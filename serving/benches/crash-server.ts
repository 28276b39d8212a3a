import { writeSync } from "node:fs";
import { pino } from "pino";
import { openServer } from "../server.ts";
import { loadSettings } from "../settings.ts";
import { LEASE_TTL_MS } from "./crash-check.ts";
import { crashFlags, dieAsTold } from "./crash-death.ts";

/** A whole server that may end itself by SIGKILL in a given step of the write path. Prints its port, and where it died. */
const flags = crashFlags();
const { "data-dir": dataDir, "spool-batch": spoolBatch } = flags;

/** Small segments and hurried upkeep: in a second this server rolls and checkpoints as another does in a day. */
const ROWS_PER_SEGMENT = 64;
const UPKEEP_EVERY_MS = 40;

dieAsTold(flags);

const settings = loadSettings({
  env: {},
  flags: {
    dataDir,
    modelDir: flags["model-dir"] ?? `${dataDir}/no-models`,
    redisUrl: flags["redis-url"],
    redisReplicas: flags["redis-replicas"],
    ...(spoolBatch !== undefined && { redisDown: "spool" }),
  },
});
const server = await openServer(settings, pino({ level: "silent" }), {
  rowsPerSegment: ROWS_PER_SEGMENT,
  upkeepEveryMs: UPKEEP_EVERY_MS,
  leaseTtlMs: LEASE_TTL_MS,
  ...(spoolBatch !== undefined && { spoolBatch: Number(spoolBatch) }),
});
process.on("SIGTERM", () => {
  void server.close().then(() => process.exit(0));
});
await server.app.server.listen({ port: 0, host: "127.0.0.1" });
const address = server.app.server.server.address();
writeSync(1, `port ${typeof address === "object" ? address?.port : ""}\n`);
