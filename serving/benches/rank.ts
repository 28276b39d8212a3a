import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import * as ort from "onnxruntime-node";
import { pino } from "pino";
import { openDataDir } from "../../datasets/storage/data-dir.ts";
import { RoostError } from "../../errors.ts";
import { hasChampion, readChampion } from "../../features/models/champion.ts";
import { TWO_TOWER } from "../../features/tower-bundle.ts";
import type { CandidateTable } from "../pipeline/candidate-table.ts";
import { featureMatrix, idMatrix } from "../pipeline/home-query.ts";
import type { RequestRecord } from "../pipeline/record.ts";
import { previewRanking } from "../rank-service.ts";
import { openServer, type Server } from "../server.ts";
import { loadSettings } from "../settings.ts";
import { rebuildState } from "../state/open-state.ts";

/*
 * Latency of POST /v1/rank in one process (routing, validation, pipeline, inference worker, serialisation; no socket)
 * against the bare onnxruntime calls on the same rows, alternated. The world, the models and so the heavy ranker's
 * parameters are fixed by seed; they are made once and kept in `<data-dir>/bench-rank`.
 */
const SEED = 1;
const HEAVY_ROWS = 500;
const VIEWERS = 60;
const WARM_UP = 40;
const LIMIT = 50;

const { values: flags } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    requests: { type: "string", default: "400" },
    "data-dir": { type: "string", default: process.env.ROOST_DATA_DIR ?? ".roost" },
  },
});
const ROOST = fileURLToPath(new URL(`../../roost${import.meta.url.slice(-3)}`, import.meta.url));

async function main(): Promise<void> {
  const space = join(flags["data-dir"], "bench-rank");
  await prepare(space);
  const settings = loadSettings({
    env: {},
    flags: { dataDir: space, clock: "world", logLevel: "silent" },
  });
  const server = await openServer(settings, pino({ level: "silent" }));
  try {
    await server.retrievable();
    print(await measure(server, space));
  } finally {
    await server.close();
  }
}

async function prepare(space: string): Promise<void> {
  const run = (args: readonly string[]): void => {
    const { status } = spawnSync(process.execPath, [...process.execArgv, ROOST, ...args], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    if (status !== 0)
      throw new RoostError("BAD_DATASET", `roost ${args[0]} failed for the benchmark`);
  };
  if (!existsSync(join(space, "dataset.json")))
    run(["simulate", "--preset", "demo", "--seed", String(SEED), "--out", space]);
  if (!(await hasChampion(join(space, "models", "heavy"))))
    run(["train", "--data", space, "--rankers", "light,heavy", "--metric-rounds", "0"]);
  if (!(await hasChampion(join(space, "models", TWO_TOWER))))
    run(["train", "--data", space, "--rankers", TWO_TOWER, "--metric-rounds", "0"]);
  if (existsSync(join(space, "state"))) return;
  const dir = openDataDir(space, "own");
  try {
    await rebuildState(dir, () => {});
  } finally {
    dir.close();
  }
}

interface Round {
  request_ms: number;
  raw_ort_ms: number;
}

async function measure(server: Server, space: string) {
  const viewers = await viewersWithEnough(server);
  const lightRows = viewers.reduce((sum, viewer) => sum + viewer.lightRows, 0) / viewers.length;
  const raw = await rawCalls(space);
  const ask = async (userId: string): Promise<number> => {
    const startedAt = performance.now();
    const answer = await server.app.server.inject({
      method: "POST",
      url: "/v1/rank",
      payload: { user_id: userId, product: "for_you", limit: LIMIT },
    });
    const took = performance.now() - startedAt;
    if (answer.statusCode !== 200) throw new Error(answer.body);
    return took;
  };
  const rounds: Round[] = [];
  const stages = new Map<string, number[]>();
  const requests = Number(flags.requests);
  // The fewest of any measured request: what was served is held back from the next, so it could shrink.
  let heavyRows = Number.POSITIVE_INFINITY;
  let retrieved = 0;
  for (let i = -WARM_UP; i < requests; i++) {
    const viewer = viewers[(i + WARM_UP) % viewers.length] as Viewer;
    // Alternated, so that both see the same machine.
    const first = i % 2 === 0 ? await ask(viewer.userId) : await raw(viewer);
    const second = i % 2 === 0 ? await raw(viewer) : await ask(viewer.userId);
    if (i < 0) continue;
    rounds.push(
      i % 2 === 0
        ? { request_ms: first, raw_ort_ms: second }
        : { request_ms: second, raw_ort_ms: first },
    );
    const { record } = await previewRanking(server.rank, request(viewer.userId));
    heavyRows = Math.min(heavyRows, rowsInto(record, "heavy_model"));
    retrieved += record.components.find(({ name }) => name === TWO_TOWER)?.rowsOut ?? 0;
    for (const [stage, ms] of Object.entries(record.stageMs)) {
      const list = stages.get(stage) ?? [];
      list.push(ms);
      stages.set(stage, list);
    }
  }
  const heavy = (await readChampion(join(space, "models", "heavy"))).manifest;
  const request_ms = rounds.map((round) => round.request_ms);
  const rawP50 = quantile(
    rounds.map((round) => round.raw_ort_ms),
    0.5,
  );
  const overhead = quantile(request_ms, 0.5) - rawP50;
  return {
    rounds,
    figures: [
      figure("rank_p50_ms", quantile(request_ms, 0.5), "ms"),
      figure("rank_p99_ms", quantile(request_ms, 0.99), "ms"),
      figure("raw_ort_p50_ms", rawP50, "ms"),
      { ...figure("overhead_p50_ms", overhead, "ms"), asked: "≤ 12", ok: overhead <= 12 },
      {
        ...figure("heavy_rows", heavyRows, "rows"),
        asked: `= ${HEAVY_ROWS}`,
        ok: heavyRows === HEAVY_ROWS,
      },
      {
        ...figure("heavy_params", heavy.parameters, "parameters"),
        asked: "400000–500000",
        ok: heavy.parameters >= 400_000 && heavy.parameters <= 500_000,
      },
      figure("two_tower_rows", Math.round(retrieved / requests), "rows"),
      figure("light_rows", Math.round(lightRows), "rows"),
      ...[...stages].map(([stage, ms]) => figure(`stage_${stage}_ms`, quantile(ms, 0.5), "ms")),
    ],
  };
}

interface Viewer {
  readonly userId: string;
  readonly lightRows: number;
  /** The candidates that the heavy ranker scored, with both stages' matrices. */
  readonly table: CandidateTable;
}

const request = (userId: string) =>
  ({ user_id: userId, product: "for_you", limit: LIMIT }) as const;

const rowsInto = ({ components }: RequestRecord, component: string): number =>
  components.find(({ name }) => name === component)?.rowsIn ?? 0;

/** Viewers for whom the heavy ranker scores exactly HEAVY_ROWS. */
async function viewersWithEnough(server: Server): Promise<Viewer[]> {
  const viewers: Viewer[] = [];
  for (const userId of server.rank.graph.users()) {
    const { record, table } = await previewRanking(server.rank, request(userId));
    if (rowsInto(record, "heavy_model") === HEAVY_ROWS)
      viewers.push({ userId, lightRows: rowsInto(record, "light_model"), table });
    if (viewers.length === VIEWERS) return viewers;
  }
  throw new RoostError(
    "BAD_DATASET",
    `only ${viewers.length} viewers have ${HEAVY_ROWS} candidates`,
  );
}

/**
 * One call of the light and one of the heavy model on the calling thread with a viewer's rows, as a floor: nothing around
 * them. The light rows that the cut dropped are stood in for by those that it kept, over and over.
 */
async function rawCalls(space: string): Promise<(viewer: Viewer) => Promise<number>> {
  const stages = await Promise.all(
    (["light", "heavy"] as const).map(async (stage) => {
      const { manifest, model } = await readChampion(join(space, "models", stage));
      const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1 });
      return { stage, session, d: manifest.features.length, k: manifest.ids.length };
    }),
  );
  return async ({ lightRows, table }) => {
    const calls = stages.map(({ stage, session, d, k }) => {
      const n = stage === "light" ? lightRows : HEAVY_ROWS;
      const features = repeated(table, featureMatrix(stage), new Float32Array(n * d));
      const feeds: Record<string, ort.Tensor> = {
        features: new ort.Tensor("float32", features, [n, d]),
      };
      if (k > 0)
        feeds.ids = new ort.Tensor(
          "int32",
          repeated(table, idMatrix(stage), new Int32Array(n * k)),
          [n, k],
        );
      return () => session.run(feeds);
    });
    const startedAt = performance.now();
    for (const call of calls) await call();
    return performance.now() - startedAt;
  };
}

/** Fills `into` with the table's matrix, from its beginning again where that ends. */
function repeated<T extends Float32Array | Int32Array>(
  table: CandidateTable,
  name: string,
  into: T,
): T {
  const values = table.matrices.get(name)?.values as T;
  for (let at = 0; at < into.length; at += values.length)
    into.set(values.subarray(0, Math.min(values.length, into.length - at)), at);
  return into;
}

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] as number;
}

const figure = (name: string, value: number, unit: string) => ({
  name,
  value: Math.round(value * 1000) / 1000,
  unit,
});

function print({ figures, rounds }: Awaited<ReturnType<typeof measure>>): void {
  const report = {
    bench: "rank",
    machine: `${cpus().length} × ${cpus()[0]?.model ?? "unknown"}`,
    node: process.version,
    seed: SEED,
    load_average: loadavg(),
    figures,
    rounds,
  };
  if (flags.json) {
    process.stdout.write(`${JSON.stringify(report)}\n`);
    return;
  }
  process.stdout.write(
    `${report.machine}, Node ${report.node}, load ${report.load_average.map((l) => l.toFixed(1)).join(" ")}\n`,
  );
  for (const { name, value, unit, ...rest } of figures) {
    const asked = "asked" in rest ? `  asked ${rest.asked} ${rest.ok ? "✓" : "✗"}` : "";
    process.stdout.write(`${name.padEnd(34)}${String(value).padStart(12)} ${unit}${asked}\n`);
  }
}

await main();
