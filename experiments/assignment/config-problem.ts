import type { z } from "zod";

/** One fault of a configuration: where (RFC 6901 pointer) and what. */
export interface ConfigProblem {
  readonly pointer: string;
  readonly message: string;
}

export function pointer(...path: readonly PropertyKey[]): string {
  return path
    .map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`)
    .join("");
}

/** A schema's issues as problems, each unknown key on its own. */
export function schemaProblems(error: z.ZodError, prefix: readonly PropertyKey[]): ConfigProblem[] {
  return error.issues.flatMap((issue) =>
    issue.code === "unrecognized_keys"
      ? issue.keys.map((key) => ({
          pointer: pointer(...prefix, ...issue.path, key),
          message: "is not a known setting",
        }))
      : [{ pointer: pointer(...prefix, ...issue.path), message: issue.message }],
  );
}
