import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { championDir } from "../../features/models/champion.ts";
import { finallyDo, freshSpace, NODE_ARGS, plainEnv, ROOST, roost } from "../space.fixture.ts";
import { readSnapshot, type Snapshot } from "../state/snapshot.ts";

const ROOT = dirname(ROOST);
const DEMO = join(ROOT, "serving", "experiments", "demo.yaml");

/** One space for the tests that leave it as it is. */
let space: string;
beforeAll(async () => {
  space = await freshSpace();
});

interface Running {
  readonly child: ChildProcess;
  readonly url: string;
  /** Everything printed so far. */
  readonly output: () => string;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/** Starts a command that serves and waits for the URL that it prints. */
async function running(command: string, args: readonly string[], env = {}): Promise<Running> {
  const child = spawn(command, args, {
    cwd: ROOT,
    env: plainEnv({ ROOST_LOG_LEVEL: "warn", ...env }),
    stdio: ["ignore", "pipe", "pipe"],
  });
  finallyDo(async () => child.kill("SIGKILL"));
  let output = "";
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) =>
    child.on("exit", (code, signal) => resolve({ code, signal })),
  );
  const url = await new Promise<string>((resolve, reject) => {
    const look = (text: unknown): void => {
      output += text;
      const found = /http:\/\/[\d.]+:\d+/.exec(output)?.[0];
      if (found !== undefined) resolve(found);
    };
    child.stdout?.on("data", look);
    child.stderr?.on("data", look);
    child.on("exit", () => reject(new Error(output)));
  });
  return { child, url, output: () => output, ended };
}

const serve = (dir: string, ...args: string[]): Promise<Running> =>
  running(process.execPath, [
    ...NODE_ARGS,
    ROOST,
    "serve",
    "--data-dir",
    dir,
    "--port",
    "0",
    "--clock",
    "world",
    ...args,
  ]);

const answers = (url: string): Promise<boolean> =>
  fetch(`${url}/livez`).then(
    () => true,
    () => false,
  );

/** Somebody who follows enough accounts for a mixed timeline. */
async function someUser(dir: string): Promise<string> {
  const snapshot = (await readSnapshot(join(dir, "broadcast.snapshot"))) as Snapshot;
  const { following } = snapshot.states.graph as { following: Map<string, Set<string>> };
  return [...following].find(([, follows]) => follows.size >= 20)?.[0] as string;
}

test("serve answers on the printed address and ends with code 0 on SIGTERM, its port and lock free", async () => {
  const server = await serve(space);
  const response = await fetch(`${server.url}/v1/rank`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ user_id: "1", product: "for_you", limit: 5 }),
  });
  expect(response.status).toBe(200);
  expect(((await response.json()) as { items: unknown[] }).items).toHaveLength(5);
  expect(existsSync(join(space, "lock"))).toBe(true);
  server.child.kill("SIGTERM");
  expect(await server.ended).toEqual({ code: 0, signal: null });
  expect(await answers(server.url)).toBe(false);
  expect(existsSync(join(space, "lock"))).toBe(false);
});

test("a server that other machines can reach says that nothing guards it, unless a token does", async () => {
  const warning = "set ROOST_OPERATOR_TOKEN";
  const open = await serve(space, "--host", "0.0.0.0");
  await expect.poll(open.output, { timeout: 10_000 }).toContain(warning);
  open.child.kill("SIGTERM");
  await open.ended;
  const guarded = await serve(space, "--host", "0.0.0.0", "--operator-token", "0123456789abcdef");
  guarded.child.kill("SIGTERM");
  await guarded.ended;
  expect(guarded.output()).not.toContain(warning);
});

test("npm start serves a space that is ready, prints a ranked timeline, and SIGTERM to npm ends the server too", async () => {
  const server = await running("npm", ["start"], { ROOST_DATA_DIR: space, ROOST_PORT: "0" });
  await expect.poll(server.output, { timeout: 20_000 }).toContain("metrics");
  const rows = server.output().split("\n");
  const head = rows.findIndex((line) => /^rank +post +author +source +followed +score/.test(line));
  expect(head).toBeGreaterThan(-1);
  expect(rows[head + 1]).toMatch(/^ +1 +\d{10,} +\d{10,} +\w+ +(yes|no) +-?\d+\.\d{5} +\w+ -?\d/);
  expect(rows[head + 15]).toMatch(/^ *15 /);
  expect(await answers(server.url)).toBe(true);
  server.child.kill("SIGTERM");
  await server.ended;
  await expect.poll(() => answers(server.url), { timeout: 10_000 }).toBe(false);
  await expect.poll(() => existsSync(join(space, "lock")), { timeout: 10_000 }).toBe(false);
});

test("start makes again what is damaged: a tampered model is trained anew, lost state rebuilt", async () => {
  const dir = await freshSpace();
  const model = join(await championDir(join(dir, "models", "light")), "model.onnx");
  const bytes = await readFile(model);
  bytes.writeUInt8(bytes.readUInt8(200) ^ 0xff, 200);
  await writeFile(model, bytes);
  await rm(join(dir, "state"), { recursive: true });
  const server = await running(process.execPath, [...NODE_ARGS, ROOST, "start"], {
    ROOST_DATA_DIR: dir,
    ROOST_PORT: "0",
  });
  for (const step of ["features", "light", "two_tower", "indexes"])
    expect(server.output()).toMatch(new RegExp(`^${step} .*100 %`, "m"));
  // Its champion is intact.
  expect(server.output()).not.toMatch(/^heavy /m);
  // The index is built when the server answers already.
  expect(server.output()).toContain("\nwithout two_tower, not ready yet\n");
  expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
  server.child.kill("SIGTERM");
  expect(await server.ended).toEqual({ code: 0, signal: null });
});

test("roost rank prints the same timeline at every call, and asks the running server when there is one", async () => {
  const user = await someUser(space);
  const started = await serve(space, "--experiments-file", DEMO);
  started.child.kill("SIGTERM");
  await started.ended;
  const args = ["rank", "--data-dir", space, "--user", user, "--limit", "5"];
  const alone = await roost(args);
  expect(alone).toMatchObject({ code: 0, stderr: "" });
  expect(alone.stdout.trim().split("\n")).toHaveLength(6);
  expect(await roost(args)).toEqual(alone);
  const json = await roost([...args, "--json"]);
  expect(JSON.parse(json.stdout)).toHaveLength(5);

  const server = await serve(space, "--experiments-file", DEMO);
  const port = new URL(server.url).port;
  const asked = await roost([...args, "--port", port]);
  expect(asked).toMatchObject({ code: 0, stderr: "" });
  const posts = (text: string): string[] => text.match(/\d{12,}/g) ?? [];
  // The server's time runs: scores that nearly tie may have changed places.
  const shared = posts(asked.stdout).filter((id) => posts(alone.stdout).includes(id));
  expect(shared.length).toBeGreaterThanOrEqual(7);
  const body = JSON.parse((await roost([...args, "--port", port, "--json"])).stdout) as object;
  expect(Object.keys(body)).toContain("weights_checksum");

  const second = await roost(["serve", "--data-dir", space, "--port", "0"]);
  expect(second.code).toBe(1);
  expect(second.stderr).toMatch(/^roost: another process owns the data directory: .*\n$/);
  expect(await answers(server.url)).toBe(true);
  server.child.kill("SIGTERM");
  await server.ended;
});

test("a port in use ends serve with one line and code 1, the directory unlocked", async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  finallyDo(async () => other.close());
  const { port } = other.address() as { port: number };
  const ended = await roost([
    "serve",
    "--data-dir",
    space,
    "--port",
    String(port),
    "--log-level",
    "warn",
  ]);
  expect(ended.code).toBe(1);
  expect(ended.stderr).toMatch(
    new RegExp(`^roost: .*port ${port} on 127.0.0.1 cannot be opened \\(EADDRINUSE\\).*\\n$`),
  );
  expect(existsSync(join(space, "lock"))).toBe(false);
});

test("wrong settings of every source are told at once, before anything is opened", async () => {
  const ended = await roost(["serve", "--clock", "moon", "--inference-workers", "0"], {
    env: { ROOST_PORT: "x", ROOST_DATADIR: "/tmp" },
  });
  expect(ended.code).toBe(1);
  for (const named of ["--clock", "--inference-workers", "ROOST_PORT", "ROOST_DATADIR"])
    expect(ended.stderr).toContain(named);
  expect(ended.stderr).toContain("did you mean ROOST_DATA_DIR?");
  expect(ended.stderr).not.toMatch(/\n +at /);
});

test.each([
  [
    "a tampered model",
    async (dir: string) => {
      const model = join(await championDir(join(dir, "models", "heavy")), "model.onnx");
      const bytes = await readFile(model);
      bytes.writeUInt8(bytes.readUInt8(1000) ^ 1, 1000);
      await writeFile(model, bytes);
    },
    /a model bundle is refused: .*model\.onnx.*roost train/,
  ],
  [
    "a bundle without its manifest",
    async (dir: string) => rm(join(await championDir(join(dir, "models", "light")), "bundle.json")),
    /a model bundle is refused: .*roost train/,
  ],
  [
    "a bundle whose features the registry lacks",
    async (dir: string) => {
      const path = join(await championDir(join(dir, "models", "heavy")), "bundle.json");
      const manifest = JSON.parse(await readFile(path, "utf8"));
      manifest.features[0] = "user.shoe_size";
      await writeFile(path, JSON.stringify(manifest));
    },
    /a model bundle is refused: .*roost train/,
  ],
  [
    "a data set whose manifest is no JSON",
    (dir: string) => writeFile(join(dir, "dataset.json"), "{"),
    /a data set cannot be read: .*dataset\.json/,
  ],
  [
    "a damaged segment that the state has to be built from",
    async (dir: string) => {
      await rm(join(dir, "state"), { recursive: true });
      const name = (await readdir(join(dir, "segments"))).find((file) => file.endsWith(".parquet"));
      const path = join(dir, "segments", name as string);
      const bytes = await readFile(path);
      bytes.fill(0, bytes.length / 2, bytes.length / 2 + 400);
      await writeFile(path, bytes);
    },
    /a log segment cannot be read: .*\.parquet/,
  ],
  [
    "a log that is no LMDB file",
    (dir: string) => writeFile(join(dir, "log", "data.mdb"), "not a log"),
    /a store cannot be used: .*data\.mdb is no LMDB file/,
  ],
])(
  "%s ends serve with code 1 and one line that names it and a remedy",
  async (_what, damage, line) => {
    const dir = await freshSpace();
    await damage(dir);
    const ended = await roost([
      "serve",
      "--data-dir",
      dir,
      "--port",
      "0",
      "--clock",
      "world",
      "--log-level",
      "error",
    ]);
    expect(ended.stderr).toMatch(line);
    expect(ended.stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(ended.stderr).toMatch(/^roost: .*; .+\n$/);
    expect(ended).toMatchObject({ code: 1, stdout: "" });
    expect(existsSync(join(dir, "lock"))).toBe(false);
  },
);

test("rank in a directory that is not there says so and makes nothing", async () => {
  const none = join(space, "none");
  const ended = await roost(["rank", "--data-dir", none, "--user", "1"]);
  expect(ended.code).toBe(1);
  expect(ended.stderr).toMatch(/^roost: .*there is no data directory .*none.*\n$/);
  expect(existsSync(none)).toBe(false);
  const word = await roost(["rank", "--data-dir", space, "--user", "abc"]);
  expect(word.stderr).toMatch(/^roost: .*user_id must be an unsigned 64-bit integer.*\n$/);
});

test("every verb says with --help what it takes, and roost --help lists them all", async () => {
  const verbs = "start serve simulate export import train models evaluate rank bench".split(" ");
  const overview = await roost(["--help"]);
  const helps = await Promise.all(verbs.map((verb) => roost([verb, "--help"])));
  for (const [i, verb] of verbs.entries()) {
    expect(helps[i], verb).toMatchObject({ code: 0, stderr: "" });
    expect(helps[i]?.stdout).toContain(`Usage: roost ${verb}`);
    expect(overview.stdout).toMatch(new RegExp(`^  ${verb} `, "m"));
  }
});

test("an unknown verb or flag ends with code 1 and its name", async () => {
  const [verb, flag] = [await roost(["frobnicate"]), await roost(["serve", "--frobnicate"])];
  for (const ended of [verb, flag]) {
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain("frobnicate");
    expect(ended.stderr).not.toMatch(/\n +at /);
  }
});
