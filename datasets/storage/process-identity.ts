import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { z } from "zod";

/** Names one run of one process: a pid alone is reused. */
export const ProcessIdentity = z.strictObject({
  pid: z.int().positive(),
  host: z.string(),
  /** Boot of the machine and start of the process in clock ticks since then; null where there is no /proc. */
  boot_id: z.string().nullable(),
  start_ticks: z.string().nullable(),
});
export type ProcessIdentity = z.infer<typeof ProcessIdentity>;

export function ownIdentity(): ProcessIdentity {
  return {
    pid: process.pid,
    host: hostname(),
    boot_id: bootId(),
    start_ticks: startTicks(process.pid),
  };
}

/**
 * Whether that run still goes on. A process of another host cannot be checked and counts as alive, unless this
 * machine has booted since under the same host name.
 */
export function isAlive(identity: ProcessIdentity): boolean {
  if (identity.host !== hostname()) return true;
  if (identity.boot_id !== null && identity.boot_id !== bootId()) return false;
  if (identity.start_ticks !== null) return startTicks(identity.pid) === identity.start_ticks;
  try {
    process.kill(identity.pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function bootId(): string | null {
  return read("/proc/sys/kernel/random/boot_id")?.trim() ?? null;
}

/** Field 22 of /proc/PID/stat. Source: proc_pid_stat(5). The command in field 2 may itself hold spaces and brackets. */
function startTicks(pid: number): string | null {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === undefined) return null;
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // A zombie has ended; only its parent has not looked yet.
  return fields[0] === "Z" ? null : (fields[19] ?? null);
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
