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
    remedy:
      "train it again with `roost train`, restore the files it was published with, or take another with `roost models`",
  },
  PROMOTION_REFUSED: {
    status: 409,
    meaning: "a model may not take this place",
    remedy:
      "see `roost models compare`; `--force REASON` promotes all the same and keeps the reason in the history",
  },
  BAD_INDEX: {
    status: 500,
    meaning: "a saved vector index is refused",
    remedy: "delete its directory: it is built anew from the posts",
  },
  BAD_SEGMENT: {
    status: 500,
    meaning: "a log segment cannot be read",
    remedy: "restore the file from a copy; segments are immutable and carry a checksum",
  },
  LOG_TRIMMED: {
    status: 500,
    meaning: "the event log no longer holds this position",
    remedy: "read it from the segments; datasets/log/reader.ts joins segments and log",
  },
  INTERRUPTED: {
    status: 503,
    meaning: "the work was stopped before its end",
    remedy: "run it again; with a checkpoint it goes on where it stopped",
  },
  BAD_STORE: {
    status: 500,
    meaning: "a store cannot be used",
    remedy:
      "check the path, its permissions and the free space of the disk; restart where Redis lost events",
  },
  REDIS_UNAVAILABLE: {
    status: 503,
    meaning: "Redis cannot be used",
    remedy: "check that it runs at this address, and user and password",
  },
  NOT_REPLICATED: {
    status: 503,
    meaning: "events were written but not copied to a replica in time",
    remedy: "send them again: their event ids make that harmless",
  },
  LOG_FULL: {
    status: 503,
    meaning: "the event log holds as many records as it may",
    remedy: "send it again later; if it persists, see why the log is not rolled into segments",
  },
  FENCED: {
    status: 409,
    meaning: "another owner has taken over",
    remedy: "stop this work, or wait until the other owner has ended",
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
  BAD_METRIC_INPUT: {
    status: 500,
    meaning: "a metric cannot be computed from this input",
    remedy: "correct the column and row named in the message; a NaN label masks a row",
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
  INFERENCE_FAILED: {
    status: 503,
    meaning: "a model could not be run",
    remedy: "ask again: a dead worker is replaced; if it persists, check the model's bundle",
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
  OVERLOADED: {
    status: 503,
    meaning: "the server takes no more for now",
    remedy:
      "send it again after the seconds of the retry-after header; event ids make that harmless",
  },
  STREAMS_FULL: {
    status: 503,
    meaning: "this server holds as many streams as it may",
    remedy: "ask GET /v1/stream/poll every few seconds, or raise ROOST_STREAM_CONNECTIONS",
  },
  NOT_FOUND: {
    status: 404,
    meaning: "there is nothing under this name",
    remedy: "check the path; /openapi.json lists what there is",
  },
  UNAUTHORIZED: {
    status: 401,
    meaning: "the request carries no valid token",
    remedy:
      "send `authorization: Bearer TOKEN` with the server's ROOST_API_TOKEN or ROOST_OPERATOR_TOKEN",
  },
  FORBIDDEN: {
    status: 403,
    meaning: "the token does not allow this",
    remedy: "send the server's ROOST_OPERATOR_TOKEN, or leave out the named fields",
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    meaning: "the path does not take this method",
    remedy: "use a method of the `allow` header",
  },
  REQUEST_TIMEOUT: {
    status: 408,
    meaning: "the request did not arrive in time",
    remedy: "send it again, whole; ROOST_REQUEST_TIMEOUT_MS is the time it may take to arrive",
  },
  VERSION_CONFLICT: {
    status: 409,
    meaning: "the current version moved meanwhile",
    remedy: "read the current version, look at what changed, and move again from it",
  },
  BODY_TOO_LARGE: {
    status: 413,
    meaning: "the request body is too large",
    remedy: "send smaller batches, or raise ROOST_BODY_LIMIT_BYTES",
  },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    meaning: "the body's content type or encoding is not supported",
    remedy: "send `content-type: application/json` in UTF-8, without a content-encoding",
  },
  HEADERS_TOO_LARGE: {
    status: 431,
    meaning: "the request's headers are too large",
    remedy: "send fewer or shorter headers",
  },
  INTERNAL: {
    status: 500,
    meaning: "the server failed on this request",
    remedy: "see the log line of this request_id for the cause",
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
  /** The message without the code's meaning. */
  readonly detail: string;

  constructor(code: ErrorCode, detail: string, cause?: unknown) {
    super(`${CODES[code].meaning}: ${detail}`, cause === undefined ? undefined : { cause });
    this.code = code;
    this.detail = detail;
    this.status = CODES[code].status;
    this.remedy = CODES[code].remedy;
  }
}

/** A refusal that passes by itself: the HTTP answer carries `retry-after`. */
export class Busy extends RoostError {
  /** Whole seconds, at least 1. */
  readonly retryAfterS: number;

  constructor(code: "OVERLOADED" | "STREAMS_FULL", detail: string, retryAfterS: number) {
    super(code, detail);
    this.retryAfterS = Math.max(1, Math.ceil(retryAfterS));
  }
}
