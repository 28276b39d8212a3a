import { execFileSync } from "node:child_process";
import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { WORLD_HEADS } from "../../datasets/heads.ts";
import { onnxEngine } from "../engines/onnx-engine.ts";
import { gradients } from "../graph/gradients.ts";
import { countFlops } from "../graph/traverse.ts";
import { ADAM_DEFAULTS } from "../optimisers/adam.ts";
import { shuffledOrder } from "../trainers/batches.ts";
import { heavyNetwork } from "../trainers/build-network.ts";
import { headStatistics } from "../trainers/head-statistics.ts";
import { plantedRows } from "../trainers/planted-rows.ts";
import { HeavyOptions } from "../trainers/ranker-options.ts";
import { NetworkTrainer } from "../trainers/train-step.ts";

/**
 * Training speed of the heavy ranker with its default settings over planted rows: minibatch assembly, onnxruntime step,
 * Adam and id tables included. Each variant runs in a fresh process; the order alternates between rounds.
 */
const USAGE =
  "usage: node --import tsx training/benches/train.ts [--rounds N] [--steps N] [--json]";

const [SEED, FEATURES, BATCH, ROWS, WARM_UP] = [1, 180, 1024, 20_000, 10];

interface Round {
  readonly threads: number;
  readonly rows_per_s: number;
  readonly gflops: number;
  readonly parameters: number;
}

/** One measurement in this process. */
async function measure(threads: number, steps: number): Promise<Round> {
  const rows = plantedRows({
    n: ROWS,
    features: FEATURES,
    heads: WORLD_HEADS.map((name) =>
      name === "dwell_seconds"
        ? { name, kind: "continuous" as const, truth: () => 8 }
        : { name, truth: (x) => (x[0] as number) - 3 },
    ),
    seed: SEED,
    ids: ["author", "topic", "language", "surface", "media"].map((name) => ({
      name,
      values: 5000,
    })),
  });
  const network = heavyNetwork(
    { train: rows, featureNames: rows.featureNames, heads: headStatistics(rows), seed: SEED },
    HeavyOptions.parse({}),
  );
  const trainer = await NetworkTrainer.create({
    network,
    engine: onnxEngine(threads),
    train: rows,
    headWeights: new Float32Array(rows.headNames.length).fill(1),
    size: BATCH,
    seed: SEED,
    adam: ADAM_DEFAULTS,
  });
  const order = shuffledOrder(rows.n, SEED, 0);
  const perPass = Math.floor(rows.n / BATCH);
  let started = 0n;
  for (let step = 0; step < WARM_UP + steps; step++) {
    if (step === WARM_UP) started = process.hrtime.bigint();
    await trainer.step(order, (step % perPass) * BATCH, step, 1e-3, 1);
  }
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  await trainer.release();
  const wrt = [...network.parameters.values, ...(network.embedded ? [network.embedded] : [])];
  const flops = countFlops([network.loss, ...gradients(network.loss, wrt)], BATCH);
  return {
    threads,
    rows_per_s: (steps * BATCH) / seconds,
    gflops: (steps * flops) / seconds / 1e9,
    parameters: network.parameters.count,
  };
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      variant: { type: "string" },
      rounds: { type: "string", default: "5" },
      steps: { type: "string", default: "60" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  if (values.variant !== undefined) {
    console.log(JSON.stringify(await measure(Number(values.variant), Number(values.steps))));
    return;
  }

  const rounds: Round[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const threads of round % 2 === 0 ? [1, 2] : [2, 1]) {
      const args = [...process.execArgv, import.meta.filename];
      args.push("--variant", String(threads), "--steps", values.steps);
      rounds.push(JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" })) as Round);
    }
  }
  const of = (threads: number): Round[] => rounds.filter((round) => round.threads === threads);
  const [one, two] = [1, 2].map((threads) => median(of(threads).map((r) => r.rows_per_s)));
  const atLeast = (name: string, value: number, asked: number) => ({
    name,
    value,
    unit: "rows/s",
    asked,
    ok: value >= asked,
  });
  const figures = [
    atLeast("rows_per_s_1_thread", one as number, 25_000),
    atLeast("rows_per_s_2_threads", two as number, 38_000),
    { name: "gflops_1_thread", value: median(of(1).map((r) => r.gflops)), unit: "GFLOP/s" },
    { name: "parameters", value: rounds[0]?.parameters ?? 0, unit: "scalars" },
    { name: "batch", value: BATCH, unit: "rows" },
  ];
  const machine = `${cpus()[0]?.model ?? "unknown"} × ${cpus().length}`;
  const report = {
    bench: "train",
    machine,
    node: process.version,
    seed: SEED,
    load_average: loadavg(),
    figures,
    rounds,
  };
  if (values.json) {
    console.log(JSON.stringify(report));
    return;
  }
  console.log(`train on ${machine}, Node ${process.version}, load ${loadavg()[0]?.toFixed(2)}`);
  for (const figure of figures) {
    const value =
      figure.value >= 1000
        ? Math.round(figure.value).toLocaleString("en")
        : figure.value.toFixed(1);
    const asked =
      "asked" in figure
        ? `  asked ≥ ${figure.asked.toLocaleString("en")}: ${figure.ok ? "met" : "missed"}`
        : "";
    console.log(`  ${figure.name.padEnd(22)}${value.padStart(10)} ${figure.unit}${asked}`);
  }
}

await main();
