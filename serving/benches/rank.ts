import { existsSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
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
import { figure, quantile, writeReport } from "./bench-report.ts";
import { DEMO_SEED, prepareDemoSpace, runRoost } from "./demo-space.ts";

/*
 * Latency of POST /v1/rank in one process (routing, validation, pipeline, inference worker, serialisation; no socket)
 * against the bare onnxruntime calls on the same rows, in alternate blocks. The world, the models and so the heavy ranker's
 * parameters are fixed by seed; they are made once and kept in `<data-dir>/bench-rank`. With `--two-tower` the pipeline has
 * its retrieval too.
 */
const HEAVY_ROWS = 500;
const VIEWERS = 60;
/** Calls of one kind in a row. */
const BLOCK = 20;
const WARM_UP_BLOCKS = 3;
const LIMIT = 50;

const USAGE =
  "usage: roost bench rank [--two-tower] [--requests N (400)] [--data-dir DIR (.roost)] [--json]";

const { values: flags } = parseArgs({
  options: {
    help: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    "two-tower": { type: "boolean", default: false },
    requests: { type: "string", default: "400" },
    "data-dir": { type: "string", default: process.env.ROOST_DATA_DIR ?? ".roost" },
  },
});

async function main(): Promise<void> {
  if (flags.help) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  const space = join(flags["data-dir"], flags["two-tower"] ? "bench-rank-two-tower" : "bench-rank");
  await prepare(space);
  // The rest of the environment is the server's own, and would make figures that others cannot repeat.
  const { ROOST_REDIS_URL: redisUrl } = process.env;
  const settings = loadSettings({
    env: {},
    flags: { dataDir: space, clock: "world", ...(redisUrl !== undefined && { redisUrl }) },
  });
  const ranked: RankedLine[] = [];
  const write = (line: string): void => {
    const entry = JSON.parse(line) as RankedLine;
    if (entry.msg === "ranked") ranked.push(entry);
  };
  const server = await openServer(settings, pino({ level: "info" }, { write }));
  try {
    if (flags["two-tower"]) await server.retrievable();
    writeReport("rank", { seed: DEMO_SEED, ...(await measure(server, space, ranked)) }, flags.json);
  } finally {
    await server.close();
  }
}

/** What the server logs of a request. */
interface RankedLine {
  readonly msg: string;
  readonly stage_ms: Readonly<Record<string, number>>;
  /** name → [ms, rows in, rows out] */
  readonly components: Readonly<Record<string, readonly [number, number, number]>>;
}

async function prepare(space: string): Promise<void> {
  await prepareDemoSpace(space);
  if (flags["two-tower"] && !(await hasChampion(join(space, "models", TWO_TOWER))))
    runRoost(["train", "--data", space, "--rankers", TWO_TOWER, "--metric-rounds", "0"]);
  if (existsSync(join(space, "state"))) return;
  const dir = openDataDir(space, "own");
  try {
    await rebuildState(dir, () => {});
  } finally {
    dir.close();
  }
}

interface Round {
  request_ms: number[];
  raw_ort_ms: number[];
}

async function measure(server: Server, space: string, ranked: readonly RankedLine[]) {
  const viewers = await viewersWithEnough(server);
  const lightRows = viewers.reduce((sum, viewer) => sum + viewer.lightRows, 0) / viewers.length;
  const raw = await rawCalls(space);
  const ask = async ({ userId }: Viewer): Promise<number> => {
    const startedAt = performance.now();
    const answer = await server.app.server.inject({
      method: "POST",
      url: "/v1/rank",
      payload: { user_id: userId, product: "for_you", limit: LIMIT },
    });
    const took = performance.now() - startedAt;
    if (answer.statusCode !== 200) throw new Error(answer.body);
    // What follows an answer is not to run within the next call that is measured.
    await setImmediate();
    await server.rank.after.settled();
    return took;
  };
  const rounds: Round[] = [];
  let at = 0;
  const block = async (call: (viewer: Viewer) => Promise<number>): Promise<number[]> => {
    const times: number[] = [];
    for (let i = 0; i < BLOCK; i++)
      times.push(await call(viewers[(at + i) % viewers.length] as Viewer));
    return times;
  };
  const blocks = Math.ceil(Number(flags.requests) / BLOCK);
  for (let i = -WARM_UP_BLOCKS; i < blocks; i++, at += BLOCK) {
    // By turns, so that both see the same machine; in blocks, so that neither empties the other's caches at each call.
    const request_ms = await block(ask);
    const raw_ort_ms = await block(raw);
    if (i >= 0) rounds.push({ request_ms, raw_ort_ms });
  }
  const measured = ranked.slice(-blocks * BLOCK);
  // The fewest of any measured request: what was served is held back from the next, so it could shrink.
  const heavyRows = Math.min(...measured.map(({ components }) => components.heavy_model?.[1] ?? 0));
  const stages = Object.keys(measured[0]?.stage_ms ?? {});
  const heavy = (await readChampion(join(space, "models", "heavy"))).manifest;
  const request_ms = rounds.flatMap((round) => round.request_ms);
  const rawP50 = quantile(
    rounds.flatMap((round) => round.raw_ort_ms),
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
      figure(
        "two_tower_rows",
        quantile(
          measured.map(({ components }) => components[TWO_TOWER]?.[2] ?? 0),
          0.5,
        ),
        "rows",
      ),
      figure("light_rows", Math.round(lightRows), "rows"),
      ...stages.map((stage) =>
        figure(
          `stage_${stage}_ms`,
          quantile(
            measured.map(({ stage_ms }) => stage_ms[stage] ?? 0),
            0.5,
          ),
          "ms",
        ),
      ),
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

await main();
