import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { cpus, loadavg } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type FoundTorch, findTorch } from "./find-torch.ts";
import { BATCH, heavyCase, judge, type Measured, measureOurs, SEED } from "./heavy-case.ts";
import { writeTorchCase } from "./torch-case.ts";

/**
 * Training speed of the heavy ranker with its default settings over planted rows: minibatch assembly, onnxruntime step,
 * Adam and id tables included; and of the same network in PyTorch from the same weights, on the same rows in the same
 * order. Each variant runs in a fresh process; the order alternates between rounds.
 */
const USAGE =
  "usage: roost bench train [--rounds N (7)] [--steps N (60)] [--judged-steps N (38)] [--python PATH] [--no-torch] [--data-dir DIR (.roost)] [--json]";

const WARM_UP = 10;
const TORCH = fileURLToPath(new URL("./train_torch.py", import.meta.url));

/** One side on so many threads. */
interface Side {
  readonly name: "ours" | "torch";
  readonly threads: number;
}

interface TorchMeasured extends Omit<Measured, "gflops"> {
  readonly torch: string;
  readonly optimiser: string;
}

const { values: flags } = parseArgs({
  options: {
    variant: { type: "string" },
    rounds: { type: "string", default: "7" },
    steps: { type: "string", default: "60" },
    // Two passes over the rows, as `roost train` takes by default.
    "judged-steps": { type: "string", default: "38" },
    python: { type: "string" },
    "no-torch": { type: "boolean", default: false },
    "data-dir": { type: "string", default: process.env.ROOST_DATA_DIR ?? ".roost" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;

async function main(): Promise<void> {
  if (flags.help) {
    console.log(USAGE);
    return;
  }
  if (flags.variant !== undefined) {
    const [threads = "1", steps = "1", judged] = flags.variant.split(",");
    const warmUp = judged ? 0 : WARM_UP;
    console.log(
      JSON.stringify(
        await measureOurs(Number(threads), Number(steps), warmUp, judged === "judged"),
      ),
    );
    return;
  }
  const steps = Number(flags.steps);
  const judgedSteps = Number(flags["judged-steps"]);
  const dir = resolve(flags["data-dir"], "bench-train");
  const torch = flags["no-torch"] ? { skipped: "--no-torch" } : findTorch(dir, flags.python);
  const names: Side["name"][] = "python" in torch ? ["ours", "torch"] : ["ours"];
  const sides = [1, 2].flatMap((threads) => names.map((name): Side => ({ name, threads })));
  if ("python" in torch)
    await writeTorchCase(dir, heavyCase(), Math.max(WARM_UP + steps, judgedSteps));
  const rounds: (Side & { readonly measured: Measured | TorchMeasured })[] = [];
  for (let round = 0; round < Number(flags.rounds); round++)
    for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
      const measured =
        side.name === "ours"
          ? ours(`${side.threads},${steps}`)
          : theirs(torch as { python: string }, dir, [
              ...["--threads", String(side.threads)],
              ...["--steps", String(steps), "--warm-up", String(WARM_UP)],
            ]);
      rounds.push({ ...side, measured });
    }
  const judged = "python" in torch ? await judgeBoth(torch, dir, judgedSteps) : undefined;
  print(rounds, torch, judged);
}

function ours(variant: string): Measured {
  const args = [...process.execArgv, import.meta.filename, "--variant", variant];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" })) as Measured;
}

function theirs({ python }: { python: string }, dir: string, args: string[]): TorchMeasured {
  const told = execFileSync(python, [TORCH, dir, ...args], {
    encoding: "utf8",
    env: {
      ...process.env,
      // PyTorch says at every start that it does without NumPy, which nothing here needs.
      PYTHONWARNINGS: "ignore",
      // As on our side: a waiting thread that spins takes the core from whoever it waits for. On two busy cores PyTorch was
      // ten times slower without this.
      OMP_WAIT_POLICY: "passive",
    },
  });
  return JSON.parse(told) as TorchMeasured;
}

/** Both sides trained for the same steps, judged on the same validation rows. */
async function judgeBoth(torch: { python: string }, dir: string, steps: number) {
  const mine = ours(`2,${steps},judged`);
  const { validation, network } = heavyCase();
  const path = join(dir, "predictions.f32");
  await writeFile(path, new Uint8Array(4 * validation.n * network.kinds.length));
  const other = theirs(torch, dir, ["--threads", "2", "--steps", String(steps), "--predict", path]);
  const bytes = await readFile(path);
  const raw = new Float32Array(new Uint8Array(bytes).buffer);
  return {
    ours: mine.auc as number,
    torch: judge(raw, validation),
    first_loss: [mine.first_loss, other.first_loss],
    last_loss: [mine.last_loss, other.last_loss],
  };
}

interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly asked?: string;
  readonly ok?: boolean;
}

function print(
  rounds: readonly (Side & { readonly measured: Measured | TorchMeasured })[],
  torch: FoundTorch,
  judged: Awaited<ReturnType<typeof judgeBoth>> | undefined,
): void {
  const of = (name: Side["name"], threads: number): (Measured | TorchMeasured)[] =>
    rounds
      .filter((round) => round.name === name && round.threads === threads)
      .map(({ measured }) => measured);
  const speeds = (name: Side["name"], threads: number): number[] =>
    of(name, threads).map((round) => round.rows_per_s);
  const atLeast = (name: string, value: number, unit: string, asked: number): Figure => ({
    name,
    value,
    unit,
    asked: `≥ ${asked.toLocaleString("en")}`,
    ok: value >= asked,
  });
  const first = of("ours", 1) as Measured[];
  const figures: Figure[] = [
    atLeast("rows_per_s_1_thread", median(speeds("ours", 1)), "rows/s", 25_000),
    atLeast("rows_per_s_2_threads", median(speeds("ours", 2)), "rows/s", 38_000),
    { name: "gflops_1_thread", value: median(first.map((r) => r.gflops)), unit: "GFLOP/s" },
    { name: "parameters", value: first[0]?.parameters ?? 0, unit: "scalars" },
    { name: "batch", value: BATCH, unit: "rows" },
  ];
  for (const [threads, plural] of [
    [1, "1_thread"],
    [2, "2_threads"],
  ] as const) {
    const theirSpeeds = speeds("torch", threads);
    if (theirSpeeds.length === 0) continue;
    // A round's two sides ran one after the other, so what else the machine did then cancels.
    const ratios = speeds("ours", threads).map((own, i) => own / (theirSpeeds[i] as number));
    figures.push({
      name: `torch_rows_per_s_${plural}`,
      value: median(theirSpeeds),
      unit: "rows/s",
    });
    figures.push(atLeast(`torch_ratio_${plural}`, median(ratios), "ratio", 0.9));
  }
  if (judged) {
    const apart = Math.abs(judged.ours - judged.torch);
    figures.push({ name: "auc_ours", value: judged.ours, unit: "AUC" });
    figures.push({
      name: "auc_torch",
      value: judged.torch,
      unit: "AUC",
      asked: "± 0.002",
      ok: apart <= 0.002,
    });
  }
  const side = of("torch", 1)[0] as TorchMeasured | undefined;
  const told =
    "skipped" in torch ? torch : { version: side?.torch, adam: side?.optimiser, ...judged };
  const machine = `${cpus()[0]?.model ?? "unknown"} × ${cpus().length}`;
  const report = {
    bench: "train",
    machine,
    node: process.version,
    seed: SEED,
    load_average: loadavg(),
    figures,
    torch: told,
    rounds,
  };
  if (flags.json) {
    console.log(JSON.stringify(report));
    return;
  }
  console.log(`train on ${machine}, Node ${process.version}, load ${loadavg()[0]?.toFixed(2)}`);
  console.log(
    "skipped" in torch
      ? `torch: skipped: ${torch.skipped}`
      : `torch: ${side?.torch}, Adam ${side?.optimiser}`,
  );
  for (const { name, value, unit, asked, ok } of figures) {
    const shown =
      value >= 1000 ? Math.round(value).toLocaleString("en") : value.toFixed(value < 10 ? 4 : 1);
    const verdict = asked === undefined ? "" : `  asked ${asked}: ${ok ? "met" : "missed"}`;
    console.log(`  ${name.padEnd(28)}${shown.padStart(10)} ${unit}${verdict}`);
  }
}

await main();
