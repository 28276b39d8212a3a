import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const FOLDERS = ["datasets", "experiments", "features", "candidates", "training", "serving"];
const FILES = [
  ".npmrc",
  "errors.ts",
  "package.json",
  "roost.ts",
  "tsconfig.build.json",
  "tsconfig.json",
  "worker.mjs",
];

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "roost-build-"));
  for (const name of [...FOLDERS, ...FILES]) cpSync(name, join(root, name), { recursive: true });
  symlinkSync(join(process.cwd(), "node_modules"), join(root, "node_modules"));
  const { status, stdout, stderr } = spawnSync("npm", ["run", "-s", "build"], {
    cwd: root,
    encoding: "utf8",
  });
  expect(status, stdout + stderr).toBe(0);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const filesOf = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, encoding: "utf8" }).sort();
const roost = (...args: string[]) =>
  spawnSync(process.execPath, [join(root, "dist/roost.js"), ...args], { encoding: "utf8" });

test("a build holds what the sources read beside themselves, and no tests", () => {
  const built = filesOf(join(root, "dist"));
  expect(built).toContain("worker.mjs");
  expect(built.filter((file) => /\.(test|fixture|contract)\./.test(file))).toEqual([]);
  const assets = FOLDERS.flatMap((folder) =>
    filesOf(folder).flatMap((file) =>
      /\.(yaml|html|css)$/.test(file) ? [join(folder, file)] : [],
    ),
  );
  expect(assets).toContain("serving/weights/presets/world.yaml");
  expect(built).toEqual(expect.arrayContaining(assets));
});

test("every verb of a build loads and says what it takes", () => {
  expect(roost("--help")).toMatchObject({ status: 0, stderr: "" });
  const verbs = [
    ...readFileSync(join(root, "dist/roost.js"), "utf8").matchAll(
      /^ {4}(\w+): \{\s+about:.*?import\("(.+?)"\)\)\.(\w+)\(/gms,
    ),
  ].map(([, verb, path, factory]) => ({ verb, path, factory }));
  expect(verbs.length).toBeGreaterThanOrEqual(9);
  // One process for all: most of the time goes into loading what they share.
  const script = `
    for (const { path, factory } of ${JSON.stringify(verbs)})
      console.log("roost " + (await import(new URL(path, "file://${root}/dist/")))[factory]().name());`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  expect(stdout.trim().split("\n")).toEqual(verbs.map(({ verb }) => `roost ${verb}`));
});

test("a build finds the programs that its verbs start", () => {
  for (const name of ["train", "growthbook"]) {
    const { status, stdout } = roost("bench", name, "--help");
    expect(status, name).toBe(0);
    expect(stdout, name).toContain("usage:");
  }
  expect(existsSync(join(root, "dist/serving/inference/session-worker.js"))).toBe(true);
});

test("a build refuses a broken input with one line and exit code 1", () => {
  const { status, stderr } = roost("simulate", "--preset", "huge");
  expect(status).toBe(1);
  expect(stderr).toMatch(/^roost: [^\n]*--preset huge[^\n]*\n$/);
});
