import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import * as ort from "onnxruntime-node";
import { readDataset, readManifest } from "../../datasets/dataset.ts";
import { random } from "../../datasets/random.ts";
import { aucMetric } from "../../experiments/metrics/auc.ts";
import { compareScorers } from "../../experiments/metrics/compare.ts";
import { type Bundle, type BundleManifest, idBucket } from "../../features/bundle.ts";
import { readChampion } from "../../features/models/champion.ts";
import { readVersion, versionsOf } from "../../features/models/versions.ts";
import type { IdColumn } from "../../features/registry.ts";
import { Replay } from "../../features/replay.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { bundleMatrices, predictHeads } from "../evaluation/predict-rows.ts";
import { createPredictor } from "../evaluation/predictor.ts";
import { InferencePool } from "../inference/inference-pool.ts";
import { poolOptions } from "../open-models.ts";
import { loadSettings } from "../settings.ts";
import { type Figure, figure, writeReport } from "./bench-report.ts";
import { DEMO_SEED, prepareDemoSpace, runProgram, runRoost } from "./demo-space.ts";
import { inputOf, matrixProducts, productFlops, productsOnnx } from "./matrix-products.ts";

/*
 * The heavy ranker on 500 rows of the validation hours: through the served path (worker pool), as bare calls of
 * onnxruntime on one thread, and as nothing but its matrix products; then the same model with its graph as it was
 * written, in 8 bits, and as a student of half the width, each with what it costs in AUC. World and models are those of
 * `roost bench rank`; the variants are published beside them as versions that nobody serves.
 */
const ROWS = 500;
const CALLS = 20;
const WARM_UP = 5;
const HEADS = ["click", "favorite"];
/** What the gate of `roost models promote` lets an AUC fall by. */
const MOST_LOSS = 0.002;
/** Less is not worth another version to look after. */
const LEAST_GAIN = 1.2;
const BOOTSTRAP_ROUNDS = 200;
const WIDTH = 0.5;
const LABEL_WAIT_MS = 3_600_000;

const USAGE =
  "usage: roost bench inference [--rounds N (15)] [--data DIR (the demo world)] [--data-dir DIR (.roost)] [--json]";

const { values: flags } = parseArgs({
  options: {
    help: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    rounds: { type: "string", default: "15" },
    data: { type: "string" },
    "data-dir": { type: "string", default: process.env.ROOST_DATA_DIR ?? ".roost" },
  },
});
const WRITTEN_GRAPH = fileURLToPath(
  new URL(`../../training/benches/written-graph${import.meta.url.slice(-3)}`, import.meta.url),
);

async function main(): Promise<void> {
  if (flags.help) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  const space = flags.data ?? join(flags["data-dir"], "bench-rank");
  await prepareDemoSpace(space);
  const variants = await prepareVariants(space);
  const rows = await validationRows(space, variants);
  const inputs = new Map(variants.map((variant) => [variant.name, inputOfRows(rows, variant)]));
  const rounds = Math.max(1, Number(flags.rounds));
  const path = await measurePath(variants[1] as Variant, inputs, rounds);
  const timed = await measureVariants(variants, inputs, rounds);
  const table = await Promise.all(
    variants.map(async (variant) => ({
      ...describe(variant, timed),
      auc_loss: await aucLoss(variants[0] as Variant, variant, rows),
    })),
  );
  print({
    figures: path.figures,
    table: table.map((row) => ({ ...row, pays: verdict(row) })),
    rounds: { path: path.rounds, variants: Object.fromEntries(timed) },
    rows: rows.n,
  });
}

interface Variant {
  readonly name: string;
  readonly bundle: Bundle;
}

/** The first is the graph as it was written, the second as it is published. */
async function prepareVariants(space: string): Promise<Variant[]> {
  const models = join(space, "models");
  const stageDir = join(models, "heavy");
  const champion = await readChampion(stageDir);
  const { version } = champion.manifest;
  const find = async (of: (settings: BundleManifest["settings"]) => unknown, make: string[]) => {
    for (let tries = 0; tries < 2; tries++) {
      for (const name of await versionsOf(stageDir)) {
        const bundle = await readVersion(stageDir, name);
        if (of(bundle.manifest.settings) === version) return bundle;
      }
      if (tries === 0) runRoost(make);
    }
    throw new Error(`roost ${make.join(" ")} made no version of ${version}`);
  };
  const quantised = await find(
    ({ quantised }) => (quantised as { from: string } | undefined)?.from,
    ["models", "quantise", version, "--stage", "heavy", "--data", space, "--rounds", "10"],
  );
  const student = await find(
    ({ distilled, quantised }) =>
      quantised === undefined ? (distilled as { from: string } | undefined)?.from : undefined,
    // biome-ignore format: one command
    ["train", "--data", space, "--rankers", "heavy", "--student-of", version, "--width", String(WIDTH), "--metric-rounds", "0"],
  );
  const written = await inScratch(async (path) => {
    runProgram(
      WRITTEN_GRAPH,
      ["--models", models, "--version", version, "--out", path],
      "the graph as it was written",
    );
  });
  // As publishing does it; a champion from before it did so has its graph as it was written.
  const saved = await inScratch(async (path) => {
    const session = await ort.InferenceSession.create(written, {
      ...SESSION,
      graphOptimizationLevel: "basic",
      optimizedModelFilePath: path,
    });
    await session.release();
  });
  return [
    { name: "fp32, graph as written", bundle: { ...champion, model: written } },
    { name: "fp32, graph optimised and saved", bundle: { ...champion, model: saved } },
    { name: "8 bits", bundle: quantised },
    { name: "student of half the width", bundle: student },
  ];
}

async function inScratch(write: (path: string) => Promise<void>): Promise<Uint8Array> {
  const dir = await mkdtemp(join(tmpdir(), "roost-bench-inference-"));
  try {
    await write(join(dir, "model.onnx"));
    return await readFile(join(dir, "model.onnx"));
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** The rows that the champion was validated on, with what any variant reads. */
async function validationRows(space: string, variants: readonly Variant[]): Promise<TrainingRows> {
  const { validation } = (variants[0] as Variant).bundle.manifest;
  if (validation === undefined)
    throw new Error("the champion does not say what it was measured on");
  const manifests = variants.map(({ bundle }) => bundle.manifest);
  const toMs = validation.to_ms + 1;
  const replay = new Replay({
    features: [...new Set(manifests.flatMap(({ features }) => features))],
    ids: [...new Set(manifests.flatMap(({ ids }) => ids.map(({ name }) => name as IdColumn)))],
    heads: readManifest(space).heads,
    fromMs: validation.from_ms,
    toMs,
  });
  for await (const batch of readDataset(space, { heldOut: false, toMs: toMs + LABEL_WAIT_MS }))
    for (const event of batch) replay.push(event);
  replay.settle();
  return replay.rows();
}

interface ModelInput {
  readonly features: Float32Array;
  readonly ids: Int32Array;
  readonly d: number;
  readonly k: number;
}

/** 500 rows, evenly over the validation hours, as a variant reads them. */
function inputOfRows(rows: TrainingRows, { bundle: { manifest } }: Variant): ModelInput {
  const all = bundleMatrices(rows, manifest);
  const [d, k] = [all.width, manifest.ids.length];
  const features = new Float32Array(ROWS * d);
  const ids = new Int32Array(ROWS * k);
  for (let i = 0; i < ROWS; i++) {
    const row = Math.floor((i * rows.n) / ROWS);
    features.set(all.features.subarray(row * d, (row + 1) * d), i * d);
    manifest.ids.forEach(({ buckets }, c) => {
      ids[i * k + c] = idBucket(all.ids[row * k + c] as number, buckets);
    });
  }
  return { features, ids, d, k };
}

const SESSION = {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  logSeverityLevel: 3,
} as const satisfies ort.InferenceSession.SessionOptions;

const feedsOf = ({ features, ids, d, k }: ModelInput): Record<string, ort.Tensor> => ({
  features: new ort.Tensor("float32", features, [ROWS, d]),
  ...(k > 0 && { ids: new ort.Tensor("int32", ids, [ROWS, k]) }),
});

/** The median of so many calls in a row, in ms. */
async function block(call: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < CALLS; i++) {
    const startedAt = performance.now();
    await call();
    times.push(performance.now() - startedAt);
  }
  return median(times);
}

async function measurePath(
  { name, bundle }: Variant,
  inputs: ReadonlyMap<string, ModelInput>,
  rounds: number,
) {
  const input = inputs.get(name) as ModelInput;
  const settings = loadSettings({ env: {}, flags: {} });
  const pool = await InferencePool.start(bundle, poolOptions(settings));
  const raw = await ort.InferenceSession.create(bundle.model, SESSION);
  const products = matrixProducts(bundle.model);
  const floor = await ort.InferenceSession.create(productsOnnx(products), SESSION);
  const draw = random(DEMO_SEED, "bench inference");
  const floorFeeds = Object.fromEntries(
    products.map((product): [string, ort.Tensor] => {
      const values = Float32Array.from({ length: ROWS * product.inner }, () => draw.normal());
      return [inputOf(product), new ort.Tensor("float32", values, [ROWS, product.inner])];
    }),
  );
  const { signal } = new AbortController();
  const calls = {
    served_ms: () => pool.run(input.features, input.ids, ROWS, signal),
    raw_ms: () => raw.run(feedsOf(input)),
    products_ms: () => floor.run(floorFeeds),
  };
  const measured = await alternated(calls, rounds);
  await Promise.all([pool.close(), raw.release(), floor.release()]);
  const flops = productFlops(products, ROWS);
  const [served, rawMs, productsMs] = [
    measured.map((round) => round.served_ms),
    measured.map((round) => round.raw_ms),
    measured.map((round) => round.products_ms),
  ].map((times) => median(times as number[])) as [number, number, number];
  const ratio = median(
    measured.map((round) => (round.raw_ms as number) / (round.products_ms as number)),
  );
  return {
    rounds: measured,
    figures: [
      { ...figure("heavy_500_p50_ms", served, "ms"), asked: "≤ 20", ok: served <= 20 },
      figure("raw_500_p50_ms", rawMs, "ms"),
      figure("products_500_p50_ms", productsMs, "ms"),
      figure("gflop", flops / 1e9, "GFLOP"),
      figure("gflops_1_thread", flops / productsMs / 1e6, "GFLOP/s"),
      { ...figure("floor_ratio", ratio, "ratio"), asked: "≤ 1.5", ok: ratio <= 1.5 },
      figure("parameters", bundle.manifest.parameters, "parameters"),
      figure("workers", settings.inferenceWorkers, "threads"),
    ],
  };
}

interface VariantTimes {
  readonly run_ms: number[];
  readonly load_ms: number[];
}

async function measureVariants(
  variants: readonly Variant[],
  inputs: ReadonlyMap<string, ModelInput>,
  rounds: number,
): Promise<Map<string, VariantTimes>> {
  const sessions = await Promise.all(
    variants.map(({ bundle }) => ort.InferenceSession.create(bundle.model, SESSION)),
  );
  const calls: Record<string, () => Promise<unknown>> = {};
  variants.forEach(({ name }, i) => {
    const input = inputs.get(name) as ModelInput;
    calls[name] = () => (sessions[i] as ort.InferenceSession).run(feedsOf(input));
  });
  const measured = await alternated(calls, rounds);
  const times = new Map(
    variants.map(({ name }) => [
      name,
      { run_ms: measured.map((round) => round[name] as number), load_ms: [] as number[] },
    ]),
  );
  for (let round = 0; round < rounds; round++)
    for (const { name, bundle } of inTurn(variants, round)) {
      const startedAt = performance.now();
      const session = await ort.InferenceSession.create(bundle.model, SESSION);
      times.get(name)?.load_ms.push(performance.now() - startedAt);
      await session.release();
    }
  await Promise.all(sessions.map((session) => session.release()));
  return times;
}

/** Medians of blocks of every call, by turns and from both ends, so that all see the same machine. */
async function alternated(
  calls: Readonly<Record<string, () => Promise<unknown>>>,
  rounds: number,
): Promise<Record<string, number>[]> {
  for (const call of Object.values(calls)) for (let i = 0; i < WARM_UP; i++) await call();
  const measured: Record<string, number>[] = [];
  for (let round = 0; round < rounds; round++) {
    const times: Record<string, number> = {};
    for (const [name, call] of inTurn(Object.entries(calls), round))
      times[name] = await block(call);
    measured.push(times);
  }
  return measured;
}

const inTurn = <T>(list: readonly T[], round: number): readonly T[] =>
  round % 2 === 0 ? list : list.toReversed();

function describe({ name, bundle }: Variant, times: ReadonlyMap<string, VariantTimes>) {
  const own = times.get(name) as VariantTimes;
  const [first] = [...times.values()] as [VariantTimes];
  const gain = (key: keyof VariantTimes): number =>
    rounded(median(own[key].map((ms, round) => (first[key][round] as number) / ms)));
  return {
    variant: name,
    version: bundle.manifest.version,
    parameters: bundle.manifest.parameters,
    bytes: bundle.model.length,
    p50_ms: rounded(median(own.run_ms)),
    speed_gain: gain("run_ms"),
    load_ms: rounded(median(own.load_ms)),
    load_gain: gain("load_ms"),
  };
}

interface Loss {
  readonly head: string;
  /** AUC of the graph as written − the variant's, with its paired interval. */
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

async function aucLoss(before: Variant, after: Variant, rows: TrainingRows): Promise<Loss[]> {
  const [a, b] = await Promise.all([before, after].map((variant) => predictions(variant, rows)));
  const width = rows.headNames.length;
  return HEADS.flatMap((head): Loss[] => {
    const h = rows.headNames.indexOf(head);
    if (h === -1) return [];
    const column = (values: Float32Array): Float32Array =>
      Float32Array.from({ length: rows.n }, (_, row) => values[row * width + h] as number);
    const { difference } = compareScorers(
      aucMetric,
      {
        scores: column(a as Float32Array),
        labels: column(rows.labels),
        weights: rows.weight,
        units: rows.user,
      },
      column(b as Float32Array),
      { seed: DEMO_SEED, rounds: BOOTSTRAP_ROUNDS },
    );
    // 0 − 0 rather than −0, which would print as such.
    return [
      { head, value: 0 - difference.value, low: 0 - difference.high, high: 0 - difference.low },
    ];
  });
}

async function predictions({ bundle }: Variant, rows: TrainingRows): Promise<Float32Array> {
  const predictor = await createPredictor(bundle, 1);
  try {
    return await predictHeads(predictor, rows);
  } finally {
    await predictor.close();
  }
}

/** Pays: runs or, at the same speed, loads faster by a fifth, and loses no more AUC than the gate allows. */
function verdict(row: {
  readonly speed_gain: number;
  readonly load_gain: number;
  readonly auc_loss: readonly Loss[];
}): boolean {
  const holds = row.auc_loss.every(({ value }) => value <= MOST_LOSS);
  return holds && Math.max(row.speed_gain, row.load_gain) >= LEAST_GAIN;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}

const rounded = (value: number): number => Math.round(value * 1000) / 1000;
interface Report {
  readonly figures: readonly Figure[];
  readonly table: readonly (ReturnType<typeof describe> & {
    readonly auc_loss: readonly Loss[];
    readonly pays: boolean;
  })[];
  readonly rounds: unknown;
  readonly rows: number;
}

function print({ figures, table, rounds, rows }: Report): void {
  const lines = table.map((row) => {
    const losses = row.auc_loss.map(
      ({ head, value, low, high }) =>
        `${head} ${value.toFixed(4)} (${low.toFixed(4)} – ${high.toFixed(4)})`,
    );
    return `${row.variant.padEnd(34)}${String(row.parameters).padStart(8)} parameters  ${String(row.bytes).padStart(9)} bytes  ${row.p50_ms.toFixed(2).padStart(6)} ms ×${row.speed_gain.toFixed(2)}  load ${row.load_ms.toFixed(1)} ms ×${row.load_gain.toFixed(2)}  AUC lost: ${losses.join(", ")}  ${row === table[0] ? "" : row.pays ? "pays" : "does not pay"}\n`;
  });
  writeReport(
    "inference",
    { seed: DEMO_SEED, figures, validation_rows: rows, table, rounds },
    flags.json,
    `\n${rows} validation rows, losses with 95 % intervals over users\n${lines.join("")}`,
  );
}

await main();
