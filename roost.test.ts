import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

/** What `roost` answers to these arguments. */
const roost = (...args: string[]) =>
  spawnSync(process.execPath, ["--import", "tsx", "roost.ts", ...args], { encoding: "utf8" });

test.each([
  [["train"], "required option '--data <dir>' not specified"],
  [["trian"], "unknown command 'trian' (Did you mean train?)"],
  [["train", "--data", ".", "--seed", "q"], "argument 'q' is invalid"],
  [["models", "promote"], "missing required argument 'version'"],
])("a command line that cannot be read is told in one line with a remedy: %j", (args, said) => {
  const { status, stdout, stderr } = roost(...args);
  expect(status).toBe(1);
  expect(stdout).toBe("");
  expect(stderr).toMatch(/^roost: an argument is not usable: .*; run the command with --help.*\n$/);
  expect(stderr).toContain(said);
});

test("a width without a teacher is refused, not passed over", () => {
  const { status, stderr } = roost("train", "--data", "docs", "--width", "0.5");
  expect(status).toBe(1);
  expect(stderr).toContain("--width needs --student-of");
});
