import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { simulate } from "../../datasets/commands/simulate.ts";

const ROOST = fileURLToPath(new URL("../../roost.ts", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "roost-train-"));
const data = join(dir, "data");
const whole = join(dir, "whole");

interface Progress {
  readonly step: string;
  readonly share: number;
}

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly progress: readonly Progress[];
  readonly errors: readonly string[];
}

/** Runs `roost train`; `watch` says with which signal to end it after a line of progress. */
function train(
  args: readonly string[],
  watch: (progress: Progress) => NodeJS.Signals | undefined = () => undefined,
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const options = ["--data", data, "--metric-rounds", "0", "--progress-json", ...args];
    const child = spawn(process.execPath, ["--import", "tsx", ROOST, "train", ...options], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const progress: Progress[] = [];
    const errors: string[] = [];
    let rest = "";
    let sent = false;
    child.stderr.on("data", (text) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() as string;
      for (const line of lines) {
        if (!line.startsWith("{")) {
          errors.push(line);
          continue;
        }
        progress.push(JSON.parse(line) as Progress);
        const signal = sent ? undefined : watch(progress.at(-1) as Progress);
        if (signal === undefined) continue;
        sent = true;
        child.kill(signal);
      }
    });
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, progress, errors }));
  });
}

const inHeavy =
  (signal: NodeJS.Signals, from = 0) =>
  ({ step, share }: Progress) =>
    step === "heavy" && share > from ? signal : undefined;

beforeAll(async () => {
  await simulate({ preset: "tiny", seed: 5, outDir: data });
  const ended = await train(["--out", whole]);
  expect(ended.code, ended.errors.join()).toBe(0);
});
afterAll(() => rmSync(dir, { recursive: true }));

/** The directory of a stage's one version, which is its champion. */
function onlyVersion(out: string, kind: string): string {
  const versions = readdirSync(join(out, kind, "versions"));
  expect(versions).toHaveLength(1);
  const { champion } = JSON.parse(readFileSync(join(out, kind, "aliases.json"), "utf8"));
  expect(versions).toEqual([champion]);
  return join(out, kind, "versions", champion);
}

function expectWhole(out: string): void {
  expect(readdirSync(out).sort()).toEqual(["heavy", "light", "past_rates", "two_tower"]);
  for (const kind of readdirSync(out))
    for (const name of [
      "bundle.json",
      "model.onnx",
      ...(kind === "two_tower" ? ["post_tower.onnx"] : []),
    ]) {
      const made = readFileSync(join(onlyVersion(out, kind), name));
      const asked = readFileSync(join(onlyVersion(whole, kind), name));
      expect(made.equals(asked), `${kind}/${name}`).toBe(true);
    }
}

test("the heavy ranker of the same run teaches the light one and the towers, and their manifests name it", () => {
  const manifest = (kind: string): { version: string; settings: Record<string, unknown> } =>
    JSON.parse(readFileSync(join(onlyVersion(whole, kind), "bundle.json"), "utf8"));
  const { version } = manifest("heavy");
  expect(manifest("light").settings.distilled).toEqual({ from: version, share: 0.5 });
  expect(manifest("two_tower").settings.teacher).toBe(version);
});

test.each(["SIGINT", "SIGTERM"] as const)(
  "%s in the middle leaves whole bundles only; the same command goes on and ends with an uninterrupted run's bytes",
  async (signal) => {
    const out = join(dir, signal);
    const checkpoint = join(dir, `${signal}.checkpoints`);
    const args = ["--out", out, "--checkpoint", checkpoint];
    const stopped = await train(args, inHeavy(signal));
    expect(stopped).toMatchObject({ code: 1, signal: null });
    expect(stopped.errors).toHaveLength(1);
    expect(stopped.errors[0]).toContain(
      `${signal} ended the training, it is kept in ${checkpoint}`,
    );
    expect(existsSync(join(out, "heavy", "versions"))).toBe(false);
    expect(readdirSync(checkpoint)).toEqual(["heavy.checkpoint"]);

    const sharesOf = (ended: Ended): number[] =>
      ended.progress.filter(({ step }) => step === "heavy").map(({ share }) => share);
    const ranked = await train(args, inHeavy(signal, 0.999));
    expect(ranked).toMatchObject({ code: 1, signal: null });
    expect(Math.min(...sharesOf(ranked))).toBeGreaterThan(Math.max(...sharesOf(stopped)));
    onlyVersion(out, "heavy");
    expect(readdirSync(checkpoint)).toContain("finished.json");

    const resumed = await train(args);
    expect(resumed.code, resumed.errors.join()).toBe(0);
    expect(sharesOf(resumed)).toEqual([1]);
    expectWhole(out);
    expect(readdirSync(checkpoint)).toEqual([]);
  },
);

test("a training that was killed goes on from its last evaluation, to the same bytes", async () => {
  const out = join(dir, "killed");
  const args = ["--out", out, "--checkpoint", join(dir, "killed.checkpoints")];
  const killed = await train(args, inHeavy("SIGKILL", 0.4));
  expect(killed.signal).toBe("SIGKILL");
  const resumed = await train(args);
  expect(resumed.code, resumed.errors.join()).toBe(0);
  const first = resumed.progress.find(({ step }) => step === "heavy");
  expect(first?.share).toBeGreaterThan(0.2);
  expectWhole(out);
});

test("a checkpoint of another seed is refused, and a stop without one says that nothing is kept", async () => {
  const out = join(dir, "other");
  const args = ["--out", out, "--rankers", "heavy", "--checkpoint", join(dir, "other.checkpoints")];
  expect((await train(args, inHeavy("SIGTERM"))).code).toBe(1);
  const other = await train([...args, "--seed", "2"]);
  expect(other.code).toBe(1);
  expect(other.errors.join()).toMatch(/belongs to a run with other data, settings or seed/);
  const plain = await train(["--out", out, "--rankers", "heavy"], inHeavy("SIGTERM"));
  expect(plain.code).toBe(1);
  expect(plain.errors.join()).toContain("SIGTERM ended the training, nothing is kept of it");
});
