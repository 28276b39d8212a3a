/**
 * Every error that Roost throws on purpose, by code: the HTTP status it answers with, what happened, what to do.
 * A test keeps this table and `docs/errors.md` equal.
 */
const CODES = {
  BAD_ARGUMENT: {
    status: 400,
    meaning: "an argument is not usable",
    remedy: "run the command with --help for what it takes",
  },
  BAD_CONFIG: {
    status: 500,
    meaning: "a setting or configuration file is not valid",
    remedy: "correct the named fields; docs/settings.md lists every setting",
  },
  BAD_REQUEST: {
    status: 400,
    meaning: "the request is not valid",
    remedy: "correct the fields under `errors`; /openapi.json describes every request",
  },
  BAD_EVENT: {
    status: 400,
    meaning: "an event is not valid",
    remedy: "correct the named fields; datasets/events.ts describes every event",
  },
  BAD_DATASET: {
    status: 500,
    meaning: "a data set cannot be read",
    remedy: "check the path and that its files are complete",
  },
  BAD_BUNDLE: {
    status: 500,
    meaning: "a model bundle is refused",
    remedy: "train it again with `roost train`, or restore the files it was published with",
  },
  BAD_SEGMENT: {
    status: 500,
    meaning: "a log segment cannot be read",
    remedy: "restore the file from a copy; segments are immutable and carry a checksum",
  },
  DATA_DIR_LOCKED: {
    status: 503,
    meaning: "another process owns the data directory",
    remedy: "stop that process or choose another ROOST_DATA_DIR",
  },
  GRAPH_SHAPE: {
    status: 500,
    meaning: "an op got shapes that do not fit",
    remedy: "check the shapes named in the message",
  },
  COLUMN_LENGTH: {
    status: 500,
    meaning: "a component returned a column of the wrong length",
    remedy: "return one value per candidate row",
  },
  NOT_FINITE: {
    status: 500,
    meaning: "a scorer returned no finite score",
    remedy: "check the model and the feature matrix of the named component",
  },
  COMPONENT_FAILED: {
    status: 502,
    meaning: "a required component failed",
    remedy: "see the log line of this request_id for the cause",
  },
  COMPONENT_TIMEOUT: {
    status: 504,
    meaning: "a component ran past its timeout",
    remedy: "raise its timeoutMs or relieve what it waits on",
  },
  DEADLINE_EXCEEDED: {
    status: 504,
    meaning: "the request's deadline passed before a page was ranked",
    remedy: "ask again with a larger deadline_ms or a smaller limit",
  },
  NOT_READY: {
    status: 503,
    meaning: "the server is not ready",
    remedy: "ask again when /readyz answers 200",
  },
  NOT_FOUND: {
    status: 404,
    meaning: "there is nothing under this name",
    remedy: "check the path; /openapi.json lists what there is",
  },
} as const satisfies Record<string, { status: number; meaning: string; remedy: string }>;

export type ErrorCode = keyof typeof CODES;
export const ERROR_CODES: Readonly<
  Record<ErrorCode, { status: number; meaning: string; remedy: string }>
> = CODES;

/** An expected failure. `message` = the code's meaning and one detail; `remedy` says what to do about it. */
export class RoostError extends Error {
  override readonly name = "RoostError";
  readonly code: ErrorCode;
  readonly status: number;
  readonly remedy: string;

  constructor(code: ErrorCode, detail: string, cause?: unknown) {
    super(`${CODES[code].meaning}: ${detail}`, cause === undefined ? undefined : { cause });
    this.code = code;
    this.status = CODES[code].status;
    this.remedy = CODES[code].remedy;
  }
}
