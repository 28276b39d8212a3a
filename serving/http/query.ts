import type { z } from "zod";
import type { FieldError } from "./invalid-request.ts";
import { type Body, validate } from "./validate.ts";

/** A query string that is exactly one schema. Errors name a parameter as `?name`. */
export function queryOf<S extends z.ZodType>(schema: S): Body<z.output<S>> {
  return {
    schema,
    validate: (query) => {
      const read = validate(schema, query);
      if (read.errors === undefined) return read;
      return {
        errors: read.errors.map(
          ({ pointer, detail }): FieldError => ({ pointer: `?${pointer.slice(1)}`, detail }),
        ),
      };
    },
  };
}
