import type { z } from "zod";
import type { FieldError } from "./invalid-request.ts";
import { jsonPointer } from "./json-pointer.ts";

export type Validated<T> =
  | { readonly value: T; readonly errors?: never }
  | { readonly errors: readonly FieldError[]; readonly value?: never };

/** What a route takes as its body: the schema that documents it, and the check that it passes. */
export interface Body<T> {
  readonly schema: z.ZodType;
  /** @param formErrors what in the body is not I-JSON */
  validate(value: unknown, formErrors: readonly FieldError[]): Validated<T>;
}

/** A body that is exactly one schema. */
export function bodyOf<S extends z.ZodType>(schema: S): Body<z.output<S>> {
  return {
    schema,
    validate: (value, formErrors) => {
      const read = validate(schema, value);
      const errors = onePerPlace([...formErrors, ...(read.errors ?? [])]);
      return errors.length > 0 ? { errors } : read;
    },
  };
}

/** One error a place: of two things wrong with a value, the first says enough. */
export function onePerPlace(errors: readonly FieldError[]): readonly FieldError[] {
  const byPointer = new Map<string, FieldError>();
  for (const error of errors)
    if (!byPointer.has(error.pointer)) byPointer.set(error.pointer, error);
  return [...byPointer.values()];
}

/** Checks `value`; every wrong field is named by its pointer, unknown fields too. `prefix` = path of `value` in the body. */
export function validate<S extends z.ZodType>(
  schema: S,
  value: unknown,
  prefix: readonly PropertyKey[] = [],
): Validated<z.output<S>> {
  const result = schema.safeParse(value, { reportInput: false });
  if (result.success) return { value: result.data };
  return { errors: result.error.issues.flatMap((issue) => fieldErrors(issue, prefix)) };
}

function fieldErrors(issue: z.core.$ZodIssue, prefix: readonly PropertyKey[]): FieldError[] {
  const path = [...prefix, ...issue.path];
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      pointer: jsonPointer([...path, key]),
      detail: "is not a known field",
    }));
  }
  const missing = issue.code === "invalid_type" && issue.message.endsWith("received undefined");
  return [{ pointer: jsonPointer(path), detail: missing ? "is missing" : sentence(issue.message) }];
}

/** Zod's messages as the rest of a sentence whose subject is the field. */
function sentence(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1);
}
