import { subscribe } from "node:diagnostics_channel";
import { writeSync } from "node:fs";
import { parseArgs } from "node:util";
import { PHASE_CHANNEL, type PhaseMark } from "../../datasets/phases.ts";

const text = { type: "string" } as const;
const flag = { type: "boolean", default: false } as const;

/** What a process is told that may be killed: where its space is, and in which step of the write path it is to die. */
export const crashFlags = () =>
  parseArgs({
    options: {
      "data-dir": text,
      "redis-url": text,
      "redis-replicas": text,
      "model-dir": text,
      "spool-batch": text,
      phase: text,
      nth: text,
      "delay-ms": text,
      "on-signal": flag,
      "even-after": flag,
    },
  }).values;

/**
 * Ends this process by SIGKILL the n-th time that the step begins, so many milliseconds later (0: at once) if it is still
 * under way or that does not matter. Prints the step then.
 */
export function dieAsTold(flags: ReturnType<typeof crashFlags>): void {
  const { phase, "even-after": evenAfter } = flags;
  const delayMs = Number(flags["delay-ms"]);
  let armed = !flags["on-signal"];
  process.on("SIGUSR2", () => {
    armed = true;
  });
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
    if (!mark.begins || !armed || ++begun < Number(flags.nth)) return;
    if (delayMs === 0) return die();
    setTimeout(() => {
      if (under > 0 || evenAfter) die();
    }, delayMs);
  });
}
