import { existsSync, readFileSync } from "node:fs";
import { LineCounter, parseDocument } from "yaml";
import { z } from "zod";
import { RoostError } from "../errors.ts";

const Token = z.string().min(16, "must be at least 16 characters, so that it cannot be guessed");
const Milliseconds = z.int().min(1).max(3_600_000);

/**
 * Every deployment setting: its default with the reason, its range. camelCase here, `snake_case` in the file,
 * `ROOST_UPPER_CASE` in the environment, `--kebab-case` on the command line.
 */
export const SettingsSchema = z.strictObject({
  host: z
    .string()
    .min(1)
    .default("127.0.0.1")
    .describe("Address to listen on. The default is reachable from this machine only"),
  port: z.int().min(0).max(65_535).default(8080).describe("Port to listen on; 0 takes a free one"),
  dataDir: z
    .string()
    .min(1)
    .default(".roost")
    .describe("Directory of the event log, features, models and versions. One process owns it"),
  modelDir: z
    .string()
    .min(1)
    .optional()
    .describe("Directory of the model bundles; `models` in the data directory when not set"),
  logLevel: z
    .enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"])
    .default("info")
    .describe("Least severe log line to write"),
  clock: z
    .enum(["wall", "world"])
    .default("wall")
    .describe("`world`: time runs on from the simulated network's last day, and events take it"),
  weights: z
    .string()
    .min(1)
    .default("world")
    .describe("Preset name, or path of a weights file that is watched for edits"),
  experimentsFile: z
    .string()
    .min(1)
    .optional()
    .describe("Path of the experiments file, watched for edits; none when not set"),
  inferenceWorkers: z
    .int()
    .min(1)
    .max(256)
    .default(1)
    .describe(
      "Threads that run models side by side. One leaves the second core of a small machine to the pipeline",
    ),
  inferenceThreads: z
    .int()
    .min(1)
    .max(256)
    .default(1)
    .describe("Threads inside one model run; more helps large models only"),
  bodyLimitBytes: z
    .int()
    .min(1_024)
    .max(67_108_864)
    .default(2_097_152)
    .describe("Largest request body; 1,000 ordinary events need less than half of the default"),
  maxHeaderBytes: z
    .int()
    .min(1_024)
    .max(1_048_576)
    .default(16_384)
    .describe("Largest request head"),
  requestTimeoutMs: Milliseconds.default(30_000).describe(
    "Time that a request may take to arrive; ends connections that trickle",
  ),
  defaultDeadlineMs: Milliseconds.default(10_000).describe(
    "Deadline of a ranking that names none, so that nothing waits for ever",
  ),
  deadlineGraceMs: z
    .int()
    .min(0)
    .max(60_000)
    .default(100)
    .describe("Time after the deadline in which a degraded page is still answered"),
  shutdownTimeoutMs: Milliseconds.default(10_000).describe(
    "Time that requests in flight get to finish after SIGTERM",
  ),
  redisUrl: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Keeps event log and feature state on Redis: redis://[user:password@]host[:port][/db], rediss:// for TLS, redis+cluster://host:port,… for a Cluster, with ?prefix= and ?ca=. Embedded when not set",
    ),
  redisDown: z
    .enum(["refuse", "spool"])
    .default("refuse")
    .describe(
      "Events while Redis is gone: refused with 503, or kept aside in the data directory, up to a million, acknowledged when on this disk whatever redis_replicas says, and appended in order when Redis is back",
    ),
  redisReplicas: z
    .int()
    .min(0)
    .max(5)
    .default(0)
    .describe(
      "Replicas that must have an event before it is acknowledged: with fewer, events are refused and a server does not start. 0: one while any is connected, else the master's disk is enough",
    ),
  unknownUsers: z
    .enum(["accept", "refuse"])
    .default("accept")
    .describe(
      "Events of users without user_created or a follow: taken, since events come in any order, or refused one by one",
    ),
  streamConnections: z
    .int()
    .min(0)
    .max(1_000_000)
    .default(10_000)
    .describe(
      "Open streams of new posts, about 30 kB each with their sockets; further clients are told to poll",
    ),
  rankingTtlMs: Milliseconds.default(600_000).describe("Time that a ranking can be paged through"),
  rankingsKept: z
    .int()
    .min(1)
    .max(10_000_000)
    .default(10_000)
    .describe(
      "Rankings kept for paging, about 45 kB each; one with explanations counts as 28. The least recently used go first",
    ),
  cursorSecret: z
    .string()
    .min(32, "must be at least 32 characters")
    .optional()
    .describe(
      "Signs cursors. All processes behind one address need the same; made in the data directory when not set",
    ),
  apiToken: Token.optional().describe("Asked of every /v1 request when set"),
  operatorToken: Token.optional().describe(
    "Asked for weight overrides, forced arms, explain and version moves when set",
  ),
});

export type Settings = z.output<typeof SettingsSchema>;
export type SettingName = keyof Settings;

export const SETTING_NAMES = Object.keys(SettingsSchema.shape) as SettingName[];

/** Not settings of the server, but read elsewhere under the same prefix. */
const OTHER_VARIABLES = new Set(["ROOST_CONFIG", "ROOST_SHARED"]);
/** Kubernetes adds these for a service called `roost`. */
const SERVICE_LINKS = /^ROOST_(SERVICE_.*|PORT_\d+_.*)$/;

export const fileKey = (name: string): string =>
  name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);
export const variableOf = (name: string): string => `ROOST_${fileKey(name).toUpperCase()}`;
export const flagOf = (name: string): string => `--${fileKey(name).replaceAll("_", "-")}`;

export interface SettingSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Values of command-line flags by setting name; undefined = not given. */
  readonly flags?: Readonly<Record<string, unknown>>;
  /** What a command assumes where nobody says otherwise. */
  readonly defaults?: Partial<Settings>;
  /** Read when it exists and ROOST_CONFIG names no other. */
  readonly defaultFile?: string;
}

/**
 * The settings: defaults ← file ← environment ← flags. Every problem of every source is in one error.
 * @throws BAD_CONFIG one line per problem, each with its source and setting
 */
export function loadSettings({
  env,
  flags = {},
  defaults = {},
  defaultFile,
}: SettingSources): Settings {
  const problems: string[] = [];
  const values: Record<string, unknown> = { ...defaults };
  const sources: Record<string, string> = {};
  const set = (name: string, value: unknown, source: string): void => {
    values[name] = value;
    sources[name] = source;
  };

  const path =
    env.ROOST_CONFIG ??
    (defaultFile !== undefined && existsSync(defaultFile) ? defaultFile : undefined);
  const byFileKey = new Map(SETTING_NAMES.map((name) => [fileKey(name), name]));
  for (const [key, value] of readFile(path, problems)) {
    const name = byFileKey.get(key);
    if (name === undefined)
      problems.push(`${path}: ${key}: ${unknownName(key, [...byFileKey.keys()])}`);
    else set(name, value, `${path}: ${key}`);
  }

  const byVariable = new Map(SETTING_NAMES.map((name) => [variableOf(name), name]));
  for (const [variable, raw] of Object.entries(env)) {
    if (!variable.startsWith("ROOST_") || raw === undefined) continue;
    if (OTHER_VARIABLES.has(variable) || SERVICE_LINKS.test(variable)) continue;
    const name = byVariable.get(variable);
    if (name === undefined)
      problems.push(`${variable}: ${unknownName(variable, [...byVariable.keys()])}`);
    else set(name, fromText(name, raw), variable);
  }

  const known = new Set<string>(SETTING_NAMES);
  for (const [name, value] of Object.entries(flags)) {
    if (value === undefined) continue;
    if (!known.has(name)) problems.push(`${flagOf(name)}: ${unknownName(name, SETTING_NAMES)}`);
    else
      set(
        name,
        typeof value === "string" ? fromText(name as SettingName, value) : value,
        flagOf(name),
      );
  }

  const parsed = SettingsSchema.safeParse(values);
  if (!parsed.success) {
    for (const {
      path: [name],
      message,
    } of parsed.error.issues) {
      // A secret's value is never in Zod's message; neither is any other.
      problems.push(`${sources[String(name)] ?? String(name)}: ${message}`);
    }
  }
  if (problems.length > 0 || !parsed.success)
    throw new RoostError("BAD_CONFIG", problems.join("\n"));
  return Object.freeze(parsed.data);
}

function readFile(path: string | undefined, problems: string[]): [string, unknown][] {
  if (path === undefined) return [];
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    problems.push(`ROOST_CONFIG: cannot read ${path}: ${(error as Error).message}`);
    return [];
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  for (const { message, pos } of document.errors) {
    problems.push(`${path}: line ${lines.linePos(pos[0]).line}: ${message}`);
  }
  if (document.errors.length > 0) return [];
  const value: unknown = document.toJS();
  if (value === null || value === undefined) return [];
  if (typeof value !== "object" || Array.isArray(value)) {
    problems.push(`${path}: must hold \`setting: value\` lines`);
    return [];
  }
  return Object.entries(value);
}

/** Environment and flags are text: where the setting is a number, numerals become one; anything else the schema refuses. */
function fromText(name: SettingName, raw: string): unknown {
  const numeric = isNumeric(SettingsSchema.shape[name]);
  return numeric && /^[+-]?\d+(\.\d+)?$/.test(raw.trim()) ? Number(raw) : raw;
}

function isNumeric(schema: z.core.$ZodType): boolean {
  const { def } = schema._zod;
  if (def.type === "default" || def.type === "optional") {
    return isNumeric((def as z.core.$ZodDefaultDef).innerType);
  }
  return def.type === "number";
}

function unknownName(name: string, known: readonly string[]): string {
  const near =
    known.find((other) => other.replaceAll("_", "") === name.replaceAll("_", "")) ??
    closest(name, known);
  return `is not a setting${near === undefined ? "" : `; did you mean ${near}?`}`;
}

/** The known name with the fewest edits, if they are at most 3. Source: Wagner and Fischer (1974). */
function closest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestEdits = 4;
  for (const other of known) {
    let row = Array.from({ length: other.length + 1 }, (_, j) => j);
    for (let i = 1; i <= name.length; i++) {
      const next = [i];
      for (let j = 1; j <= other.length; j++) {
        const swap = (row[j - 1] ?? 0) + (name[i - 1] === other[j - 1] ? 0 : 1);
        next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
      }
      row = next;
    }
    const edits = row[other.length] ?? 4;
    if (edits < bestEdits) [best, bestEdits] = [other, edits];
  }
  return best;
}
