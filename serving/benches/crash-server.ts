import { subscribe } from "node:diagnostics_channel";
import { writeSync } from "node:fs";
import { pino } from "pino";
import { PHASE_CHANNEL, type Phase, type PhaseMark } from "../../datasets/phases.ts";
import { openServer } from "../server.ts";
import { loadSettings } from "../settings.ts";
import { LEASE_TTL_MS } from "./crash-check.ts";

/**
 * A whole server that ends itself by SIGKILL in a given step of the write path: the n-th time that it begins, so many
 * milliseconds later (0: at once) if it is still under way. Prints its port, and the step in which it died.
 */
const [dataDir, phase, nth, delayMs, redisUrl] = process.argv.slice(2) as [
  string,
  Phase,
  string,
  string,
  string?,
];

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
  if (!mark.begins || ++begun < Number(nth)) return;
  if (Number(delayMs) === 0) return die();
  setTimeout(() => {
    if (under > 0) die();
  }, Number(delayMs));
});

const settings = loadSettings({
  env: {},
  flags: { dataDir, modelDir: `${dataDir}/no-models`, ...(redisUrl && { redisUrl }) },
});
const server = await openServer(settings, pino({ level: "silent" }), {
  rowsPerSegment: ROWS_PER_SEGMENT,
  upkeepEveryMs: UPKEEP_EVERY_MS,
  leaseTtlMs: LEASE_TTL_MS,
});
await server.app.server.listen({ port: 0, host: "127.0.0.1" });
const address = server.app.server.server.address();
writeSync(1, `port ${typeof address === "object" ? address?.port : ""}\n`);
process.on("SIGTERM", () => {
  void server.close().then(() => process.exit(0));
});
