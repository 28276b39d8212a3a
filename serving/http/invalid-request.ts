import { type ErrorCode, RoostError } from "../../errors.ts";

/** One wrong field: where it stands in the sent body (RFC 6901; "" = the whole body) and what is wrong with it. */
export interface FieldError {
  readonly pointer: string;
  readonly detail: string;
}

/** The caller's mistake, with every wrong field. Answered as a 4xx problem. */
export class InvalidRequest extends RoostError {
  readonly errors: readonly FieldError[];

  constructor(
    errors: readonly FieldError[],
    code: ErrorCode = "BAD_REQUEST",
    detail = summary(errors),
  ) {
    super(code, detail);
    this.errors = errors;
  }
}

function summary(errors: readonly FieldError[]): string {
  const first = errors[0];
  if (first === undefined) return "no detail";
  const place = first.pointer === "" ? "the body" : first.pointer;
  return errors.length === 1
    ? `${place}: ${first.detail}`
    : `${errors.length} wrong fields, first ${place}: ${first.detail}`;
}
