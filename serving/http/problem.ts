import { ERROR_CODES, type ErrorCode, RoostError } from "../../errors.ts";
import { InvalidRequest } from "./invalid-request.ts";
import type { Problem } from "./schemas.ts";

export const PROBLEM_TYPE = "application/problem+json";

/** A body of nothing but wrong fields could otherwise be answered with many times its size. */
const MAX_ERRORS = 1_000;

/** Fastify's refusals and Node's parser errors, by code. */
const FRAMEWORK_CODES: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: "BODY_TOO_LARGE",
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "UNSUPPORTED_MEDIA_TYPE",
  FST_ERR_NOT_FOUND: "NOT_FOUND",
  HPE_HEADER_OVERFLOW: "HEADERS_TOO_LARGE",
  ERR_HTTP_REQUEST_TIMEOUT: "REQUEST_TIMEOUT",
};

/**
 * What a caller is told about a failure. A 5xx tells its code and request id, never a message of ours or a stack,
 * except for those whose message was made for the caller (502–504).
 * Source: RFC 9457, section 3.
 */
export function problemOf(error: unknown, requestId: string, instance?: string): Problem {
  const code = codeOf(error);
  const { status, meaning, remedy } = ERROR_CODES[code];
  const problem: Problem = {
    type: `/docs#${code}`,
    title: meaning,
    status,
    detail: detailOf(error, code),
    code,
    remedy,
    request_id: requestId,
    ...(instance === undefined ? {} : { instance }),
  };
  if (!(error instanceof InvalidRequest)) return problem;
  const errors = [...error.errors.slice(0, MAX_ERRORS)];
  const more = error.errors.length - errors.length;
  return more > 0
    ? { ...problem, detail: `${problem.detail} (${more} more are not listed)`, errors }
    : { ...problem, errors };
}

function codeOf(error: unknown): ErrorCode {
  if (error instanceof RoostError) return error.code;
  if (!(error instanceof Error)) return "INTERNAL";
  const { code, statusCode } = error as { code?: unknown; statusCode?: unknown };
  const known = typeof code === "string" ? FRAMEWORK_CODES[code] : undefined;
  if (known !== undefined) return known;
  const callers = typeof statusCode === "number" && statusCode >= 400 && statusCode < 500;
  return callers || (typeof code === "string" && code.startsWith("HPE_"))
    ? "BAD_REQUEST"
    : "INTERNAL";
}

function detailOf(error: unknown, code: ErrorCode): string {
  const { status, meaning } = ERROR_CODES[code];
  if (error instanceof RoostError && status !== 500) return error.message;
  if (error instanceof Error && status < 500) return error.message;
  return meaning;
}
