import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Event } from "../../datasets/events.ts";
import type { Phase, SpoolPhase } from "../../datasets/phases.ts";

/** `whole`, or the event log behind its API and nothing else, which starts sooner. */
const SERVERS = { whole: "crash-server", log: "spool-server" } as const;
const pathOf = (server: keyof typeof SERVERS): string =>
  fileURLToPath(new URL(`./${SERVERS[server]}${import.meta.url.slice(-3)}`, import.meta.url));

/** Where a server ends itself by SIGKILL: the n-th time that a step begins, so many ms later. */
export interface Death {
  readonly phase: Phase | SpoolPhase;
  readonly nth: number;
  readonly delayMs: number;
  /** Counts from SIGUSR2 on, not from the start. */
  readonly onSignal?: boolean;
  /** Also if the step is over by then. */
  readonly evenAfter?: boolean;
}

/** How a server is started, and where it ends itself. */
export interface CrashServerOptions {
  readonly dataDir: string;
  /** Keeps log, features and timelines there; without it nothing is fanned out. */
  readonly redisUrl?: string | undefined;
  readonly redisReplicas?: number | undefined;
  /** Without them a ranking looks at no features. */
  readonly modelDir?: string | undefined;
  readonly death?: Death | undefined;
  /** Keeps events aside while Redis is gone, and lets so many go on at once. */
  readonly spoolBatch?: number | undefined;
  readonly server?: keyof typeof SERVERS | undefined;
  /** Arguments of node that run a server's source. Default: those of this process. */
  readonly nodeArgs?: readonly string[] | undefined;
}

/** A whole server as a process of its own. */
export interface CrashServer {
  readonly child: ChildProcess;
  /** 0 when it died before it listened. */
  readonly port: number;
  ended(): boolean;
  /** The step in which it died, or `outside`. */
  readonly died: Promise<string>;
}

/** Starts a server and resolves when it listens or has died. */
export async function startCrashServer(options: CrashServerOptions): Promise<CrashServer> {
  const { dataDir, redisUrl, redisReplicas, modelDir, spoolBatch, death } = options;
  const flags = {
    "data-dir": dataDir,
    "redis-url": redisUrl,
    "redis-replicas": redisReplicas,
    "model-dir": modelDir,
    "spool-batch": spoolBatch,
    phase: death?.phase,
    nth: death?.nth,
    "delay-ms": death?.delayMs,
    "on-signal": death?.onSignal || undefined,
    "even-after": death?.evenAfter || undefined,
  };
  const args = Object.entries(flags).flatMap(([name, value]) =>
    value === undefined ? [] : [value === true ? `--${name}` : `--${name}=${value}`],
  );
  const nodeArgs = options.nodeArgs ?? process.execArgv;
  const child = spawn(process.execPath, [...nodeArgs, pathOf(options.server ?? "whole"), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let diedIn = "outside";
  let ended = false;
  const exited = once(child, "exit").then(() => {
    ended = true;
  });
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const port = await new Promise<number>((resolve, reject) => {
    lines.on("line", (line) => {
      const [word, value] = line.split(" ");
      if (word === "port") resolve(Number(value));
      else if (word === "died") diedIn = value as string;
    });
    // A step may come before anything is served: then it dies in its start, which must be survived as well.
    void exited.then(() => {
      if (child.signalCode === "SIGKILL") resolve(0);
      else reject(new Error(`the server ended with ${child.exitCode}`));
    });
  });
  return { child, port, ended: () => ended, died: exited.then(() => diedIn) };
}

/** Sends a batch; returns the ids that are acknowledged, undefined when the batch was refused whole. */
export async function sendEvents(
  port: number,
  events: readonly Event[],
): Promise<string[] | undefined> {
  const answer = await fetch(`http://127.0.0.1:${port}/v1/events`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ events }),
  });
  const { results } = (await answer.json()) as { results?: { index: number; status: string }[] };
  return results
    ?.filter(({ status }) => status === "accepted" || status === "duplicate")
    .map(({ index }) => events[index]?.event_id as string);
}
