import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { RoostError } from "../errors.ts";
import {
  loadSettings,
  SETTING_NAMES,
  type SettingSources,
  SettingsSchema,
  variableOf,
} from "./settings.ts";
import { settingsTable } from "./settings-table.ts";

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "roost-settings-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

const file = (text: string): string => {
  const path = join(directory, "roost.yaml");
  writeFileSync(path, text);
  return path;
};
const problems = (sources: SettingSources): string[] => {
  try {
    loadSettings(sources);
  } catch (error) {
    expect(error).toMatchObject({ code: "BAD_CONFIG" });
    return (error as RoostError).message.replace(/^[^:]*: /, "").split("\n");
  }
  return [];
};

test("without sources every setting has its default", () => {
  expect(loadSettings({ env: {} })).toEqual(SettingsSchema.parse({}));
  expect(loadSettings({ env: {}, defaultFile: join(directory, "absent.yaml") }).port).toBe(8080);
});

test("flags win over the environment, that over the file, that over a command's defaults", () => {
  const path = file("port: 1\nhost: file\nlog_level: warn\nclock: wall\n");
  const settings = loadSettings({
    defaults: { clock: "world", dataDir: "elsewhere", port: 9 },
    defaultFile: path,
    env: { ROOST_PORT: "2", ROOST_HOST: "env", OTHER: "x" },
    flags: { port: "3", host: undefined },
  });
  expect(settings).toMatchObject({
    port: 3,
    host: "env",
    logLevel: "warn",
    clock: "wall",
    dataDir: "elsewhere",
  });
});

test("ROOST_CONFIG names the file instead, and must be there", () => {
  const path = file("port: 5\n");
  expect(loadSettings({ env: { ROOST_CONFIG: path }, defaultFile: "roost.yaml" }).port).toBe(5);
  expect(problems({ env: { ROOST_CONFIG: join(directory, "absent.yaml") } })[0]).toMatch(
    /ROOST_CONFIG: cannot read/,
  );
});

test("every problem of every source is told at once, with its source", () => {
  const path = file("port: many\nlog_levle: warn\nserver: {host: x}\n");
  const told = problems({
    defaultFile: path,
    env: {
      ROOST_INFERENCE_WORKERS: "0",
      ROOST_PROT: "1",
      ROOST_API_TOKEN: "short",
      ROOST_BODY_LIMIT_BYTES: "1e3",
    },
    flags: { clock: "sundial", colour: "red" },
  });
  const expected = [
    `${path}: log_levle: is not a setting; did you mean log_level?`,
    `${path}: server: is not a setting`,
    `${path}: port: `,
    "ROOST_PROT: is not a setting; did you mean ROOST_PORT?",
    "ROOST_INFERENCE_WORKERS: ",
    "ROOST_API_TOKEN: must be at least 16 characters",
    "ROOST_BODY_LIMIT_BYTES: ",
    "--clock: ",
    "--colour: is not a setting",
  ];
  for (const start of expected)
    expect(
      told.filter((line) => line.startsWith(start)),
      start,
    ).toHaveLength(1);
  expect(told).toHaveLength(expected.length);
});

test("a value that is refused is not repeated, since it may be a secret", () => {
  const told = problems({ env: { ROOST_CURSOR_SECRET: "hunter2", ROOST_PORT: "hunter3" } });
  expect(told).toHaveLength(2);
  expect(told.join()).not.toMatch(/hunter/);
});

test("a broken file is told with its lines, a file of another shape too", () => {
  expect(problems({ env: {}, defaultFile: file("port: 1\nport: 2\n") })[0]).toMatch(/line 2: /);
  expect(problems({ env: {}, defaultFile: file("a: [1\nb: }\n") })[0]).toMatch(/line \d+: /);
  expect(problems({ env: {}, defaultFile: file("- port\n") })[0]).toMatch(/must hold/);
  expect(loadSettings({ env: {}, defaultFile: file("# nothing yet\n") }).port).toBe(8080);
});

test("numbers in the environment are numerals, and nothing else passes for one", () => {
  expect(loadSettings({ env: { ROOST_PORT: "0" } }).port).toBe(0);
  expect(loadSettings({ env: { ROOST_HOST: "0" } }).host).toBe("0");
  for (const port of ["", " ", "0x10", "1.5", "-1", "65536", "8080a", "NaN", "Infinity"]) {
    expect(problems({ env: { ROOST_PORT: port } }), port).toHaveLength(1);
  }
});

test("what Kubernetes sets for a service called roost is no unknown setting", () => {
  const env = {
    ROOST_SERVICE_HOST: "10.0.0.1",
    ROOST_SERVICE_PORT: "80",
    ROOST_PORT_8080_TCP_ADDR: "10.0.0.1",
  };
  expect(problems({ env })).toEqual([]);
});

test("docs/settings.md is what the schema says (`npx vitest run serving/settings.test.ts -u` writes it)", async () => {
  const table = settingsTable();
  for (const name of SETTING_NAMES) expect(table).toContain(variableOf(name));
  expect(table).not.toContain("undefined");
  await expect(table).toMatchFileSnapshot("../docs/settings.md");
});
