import { subscribe } from "node:diagnostics_channel";
import { writeSync } from "node:fs";
import { parseArgs } from "node:util";
import { pino } from "pino";
import { PHASE_CHANNEL, type PhaseMark } from "../../datasets/phases.ts";
import { openServer } from "../server.ts";
import { loadSettings } from "../settings.ts";
import { LEASE_TTL_MS } from "./crash-check.ts";

const text = { type: "string" } as const;
/**
 * A whole server that may end itself by SIGKILL in a given step of the write path: the n-th time that it begins, so many
 * milliseconds later (0: at once) if it is still under way. Prints its port, and the step in which it died.
 */
const { values: flags } = parseArgs({
  options: {
    "data-dir": text,
    "redis-url": text,
    "redis-replicas": text,
    "model-dir": text,
    phase: text,
    nth: text,
    "delay-ms": text,
  },
});
const { "data-dir": dataDir, phase } = flags;

/** Small segments and hurried upkeep: in a second this server rolls and checkpoints as another does in a day. */
const ROWS_PER_SEGMENT = 64;
const UPKEEP_EVERY_MS = 40;

let begun = 0;
let under = 0;
const die = (): void => {
  writeSync(1, `died ${phase}\n`);
  process.kill(process.pid, "SIGKILL");
};
subscribe(PHASE_CHANNEL, (message) => {
  const mark = message as PhaseMark;
  if (mark.phase !== phase) return;
  under += mark.begins ? 1 : -1;
  if (!mark.begins || ++begun < Number(flags.nth)) return;
  if (Number(flags["delay-ms"]) === 0) return die();
  setTimeout(() => {
    if (under > 0) die();
  }, Number(flags["delay-ms"]));
});

const settings = loadSettings({
  env: {},
  flags: {
    dataDir,
    modelDir: flags["model-dir"] ?? `${dataDir}/no-models`,
    redisUrl: flags["redis-url"],
    redisReplicas: flags["redis-replicas"],
  },
});
const server = await openServer(settings, pino({ level: "silent" }), {
  rowsPerSegment: ROWS_PER_SEGMENT,
  upkeepEveryMs: UPKEEP_EVERY_MS,
  leaseTtlMs: LEASE_TTL_MS,
});
process.on("SIGTERM", () => {
  void server.close().then(() => process.exit(0));
});
await server.app.server.listen({ port: 0, host: "127.0.0.1" });
const address = server.app.server.server.address();
writeSync(1, `port ${typeof address === "object" ? address?.port : ""}\n`);
