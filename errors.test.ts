import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ERROR_CODES, type ErrorCode, RoostError } from "./errors.ts";

const CODES = Object.keys(ERROR_CODES) as ErrorCode[];
const FOLDERS = ["datasets", "experiments", "features", "candidates", "training", "serving"];

/** `docs/errors.md`: every code, in the order of the table. */
function errorsPage(): string {
  const rows = CODES.map((code) => {
    const { status, meaning, remedy } = ERROR_CODES[code];
    return `| \`${code}\` | ${status} | ${meaning} | ${remedy} |`;
  });
  return `# Errors

Every failure that Roost reports on purpose has one of these codes. On the command line it is one line, \`roost: meaning: detail; remedy\`, and exit code 1.
Over HTTP it is an RFC 9457 problem document with the code, the remedy and the request's id; [api.md](api.md#problems) shows one. A detail that is not meant for callers stays in the log.

| code | status | meaning | remedy |
|---|---|---|---|
${rows.join("\n")}
`;
}

test("docs/errors.md is what errors.ts says (`npx vitest run errors.test.ts -u` writes it)", async () => {
  await expect(errorsPage()).toMatchFileSnapshot("docs/errors.md");
});

test("an error says its meaning, then its detail, and knows its status and remedy", () => {
  const cause = new Error("disk");
  const error = new RoostError("BAD_STORE", "log", cause);
  expect(error).toMatchObject({
    message: `${ERROR_CODES.BAD_STORE.meaning}: log`,
    detail: "log",
    status: 500,
    remedy: ERROR_CODES.BAD_STORE.remedy,
    cause,
  });
  expect("cause" in new RoostError("BAD_STORE", "log")).toBe(false);
});

test("every status is one of HTTP's for failures, and no text breaks the table or the one line", () => {
  for (const code of CODES) {
    const { status, meaning, remedy } = ERROR_CODES[code];
    expect(status, code).toBeGreaterThanOrEqual(400);
    expect(status, code).toBeLessThan(600);
    for (const text of [meaning, remedy]) expect(text, code).toMatch(/^[^|\n]*[^|\n.]$/);
  }
});

test("every code is used outside its table", () => {
  const sources = FOLDERS.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
      .map((file) => readFileSync(join(folder, file), "utf8")),
  ).join("\n");
  expect(CODES.filter((code) => !new RegExp(`\\b${code}\\b`).test(sources))).toEqual([]);
});
