import { randomUUID } from "node:crypto";
import { Command } from "commander";
import { openDataDir } from "../../datasets/storage/data-dir.ts";
import { connectRedis, parseRedisUrl } from "../../datasets/storage/redis.ts";
import { RoostError } from "../../errors.ts";
import { type Materialized, materialize, STEPS, type Step } from "../redis/materialize.ts";
import { Progress } from "./progress.ts";

interface Flags {
  readonly dataDir?: string;
  readonly redisUrl?: string;
  readonly json?: boolean;
  readonly progressJson?: boolean;
}

export function materializeCommand(): Command {
  return new Command("materialize")
    .description(
      "build this build's feature state on Redis from the log, also while a server of another layout goes on",
    )
    .option("--data-dir <dir>", "the data directory; ROOST_DATA_DIR or .roost when not given")
    .option("--redis-url <url>", "where the space is kept; ROOST_REDIS_URL when not given")
    .option("--json", "print the report as JSON")
    .option("--progress-json", "report progress on stderr as JSON lines")
    .action(run);
}

async function run(flags: Flags): Promise<void> {
  const { ROOST_DATA_DIR, ROOST_REDIS_URL } = process.env;
  const url = flags.redisUrl ?? ROOST_REDIS_URL;
  if (url === undefined)
    throw new RoostError(
      "BAD_ARGUMENT",
      "neither --redis-url nor ROOST_REDIS_URL is given: an embedded space builds its state when the server starts",
    );
  const target = parseRedisUrl(url);
  const dir = openDataDir(flags.dataDir ?? ROOST_DATA_DIR ?? ".roost", "read");
  const ended = new AbortController();
  const end = (signal: NodeJS.Signals): void =>
    ended.abort(new RoostError("INTERRUPTED", `feature state, by ${signal}`));
  process.on("SIGINT", end);
  process.on("SIGTERM", end);
  const progress = new Progress(process.stderr, () => performance.now());
  const connection = await connectRedis(target);
  try {
    const report = await materialize({
      connection,
      dir,
      owner: randomUUID(),
      wallMs: Date.now,
      monotonicMs: () => performance.now(),
      signal: ended.signal,
      onProgress: (step, done, of) => tell(flags, progress, step, done, of),
    });
    progress.done();
    process.stdout.write(`${flags.json ? JSON.stringify(report, null, 2) : readable(report)}\n`);
  } finally {
    await connection.close();
    process.off("SIGINT", end);
    process.off("SIGTERM", end);
  }
}

function tell(flags: Flags, progress: Progress, step: Step, done: number, of: number): void {
  const share = of === 0 ? 1 : done / of;
  if (flags.progressJson) process.stderr.write(`${JSON.stringify({ step, share, done, of })}\n`);
  else progress.update(nameOf(step), share);
}

const nameOf = (step: Step): string => step.replace("_", " ");

function readable(report: Materialized): string {
  const { layout, position, resumed, seconds } = report;
  const did: Record<Step, string> = {
    replay: `${report.events_replayed} events`,
    write: `${report.vectors_written} vectors`,
    catch_up: `${report.events_caught_up} events`,
  };
  return [
    `layout ${layout} is at position ${position}, the log's end${resumed === null ? "" : `; went on with an earlier run's ${nameOf(resumed)}`}`,
    ...STEPS.map(
      (step) => `  ${nameOf(step).padEnd(9)} ${did[step]}, ${seconds[step].toFixed(1)} s`,
    ),
  ].join("\n");
}
