import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { pino } from "pino";
import { hasDataset, readManifest } from "../../datasets/dataset.ts";
import { openDataDir } from "../../datasets/storage/data-dir.ts";
import { RoostError } from "../../errors.ts";
import { checkBundle } from "../../features/check-bundle.ts";
import { Progress } from "../../features/commands/progress.ts";
import { readChampion } from "../../features/models/champion.ts";
import { TWO_TOWER } from "../../features/tower-bundle.ts";
import { STAGES } from "../open-models.ts";
import type { RankParts } from "../rank-parts.ts";
import { previewRanking } from "../rank-service.ts";
import type { Server } from "../server.ts";
import type { Settings } from "../settings.ts";
import { isStateBuilt, rebuildState } from "../state/open-state.ts";
import { addressOf, listen } from "./serve.ts";
import { settingsOf, withSettings } from "./settings-options.ts";
import { timelineTable } from "./timeline-table.ts";

/** The experiment on the weights that the demo runs. */
const DEMO_EXPERIMENTS = fileURLToPath(new URL("../experiments/demo.yaml", import.meta.url));
const ROOST = fileURLToPath(new URL(`../../roost${import.meta.url.slice(-3)}`, import.meta.url));
const DEMO_SEED = "1";
const SERVED = [...STAGES, TWO_TOWER];
/** Posts of the printed timeline, and the least follows of the viewer that it is printed for. */
const SHOWN = 15;
const LEAST_FOLLOWS = 40;

export function startCommand(): Command {
  return withSettings(
    new Command("start").description(
      "make the demo world, train, build the indexes, serve and print a ranked timeline; later starts find their artifacts",
    ),
  ).action(async (flags: Record<string, unknown>) => {
    const settings = settingsOf(flags, {
      clock: "world",
      logLevel: "warn",
      experimentsFile: DEMO_EXPERIMENTS,
    });
    await makeArtifacts(settings.dataDir);
    const server = await listen(settings, pino({ level: settings.logLevel }));
    try {
      process.stdout.write(await greeting(settings, server));
    } catch (error) {
      await server.close();
      throw error;
    }
  });
}

/** One ranked timeline and where to ask for more. */
async function greeting(settings: Settings, server: Server): Promise<string> {
  const viewer = someViewer(server.rank);
  const request = { user_id: viewer, product: "for_you", limit: SHOWN } as const;
  const answer = await previewRanking(server.rank, request, server.startedMs);
  const title = `The timeline of user ${viewer} (weights “${answer.query.weights.name}”):`;
  const without = answer.record.degraded().map(({ component }) => component);
  const note = without.length === 0 ? "" : `\nwithout ${without.join(", ")}, not ready yet\n`;
  return `\n${title}\n\n${timelineTable(answer)}\n${note}\n${urls(settings, addressOf(server), viewer)}\n`;
}

/** Makes what is missing, each step in the order in which it needs the ones before. */
async function makeArtifacts(dataDir: string): Promise<void> {
  const progress = new Progress(process.stderr, () => performance.now());
  const dir = openDataDir(dataDir, "own");
  try {
    if (!hasDataset(dir.path))
      await roost(
        ["simulate", "--preset", "demo", "--seed", DEMO_SEED, "--out", dir.path],
        progress,
      );
    const missing = await missingModels(dir.at("models"));
    if (missing.length > 0)
      await roost(
        [
          "train",
          ...["--data", dir.path, "--out", dir.at("models"), "--metric-rounds", "50"],
          // All missing is a first start: what judges them, past rates, is trained with them.
          ...(missing.length < SERVED.length ? ["--rankers", missing.join(",")] : []),
        ],
        progress,
      );
    if (!(await isStateBuilt(dir))) {
      const { events } = readManifest(dir.path);
      await rebuildState(dir, (applied) => progress.update("indexes", applied / events));
    }
  } finally {
    progress.done();
    dir.close();
  }
}

/** The stages without a champion that is intact and of this version's features. */
async function missingModels(dir: string): Promise<string[]> {
  const missing: string[] = [];
  for (const stage of SERVED)
    try {
      checkBundle((await readChampion(`${dir}/${stage}`)).manifest);
    } catch (error) {
      if (!(error instanceof RoostError && error.code === "BAD_BUNDLE")) throw error;
      missing.push(stage);
    }
  return missing;
}

/** Runs another verb of this program and shows its progress. */
async function roost(args: readonly string[], progress: Progress): Promise<void> {
  const child = spawn(process.execPath, [...process.execArgv, ROOST, ...args, "--progress-json"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const others: string[] = [];
  createInterface({ input: child.stderr }).on("line", (line) => {
    try {
      const { step, share } = JSON.parse(line) as { step: string; share: number };
      progress.update(step, share);
    } catch {
      others.push(line);
    }
  });
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  process.on("SIGTERM", forward);
  process.on("SIGINT", forward);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  process.off("SIGTERM", forward);
  process.off("SIGINT", forward);
  progress.done();
  if (code !== 0)
    throw new RoostError(
      "BAD_DATASET",
      `roost ${args[0]} failed: ${others.join(" ").slice(0, 500)}`,
    );
}

/** The first viewer who follows enough accounts to show a mixed timeline. */
function someViewer({ graph }: RankParts): string {
  let first: string | undefined;
  for (const userId of graph.users()) {
    first ??= userId;
    if (graph.following(userId).size >= LEAST_FOLLOWS) return userId;
  }
  if (first === undefined) throw new RoostError("BAD_DATASET", "the data set has no users");
  return first;
}

function urls(settings: Settings, url: string, viewer: string): string {
  return [
    `rank     curl -s ${url}/v1/rank -H 'content-type: application/json' -d '{"user_id":"${viewer}","product":"for_you","limit":10,"explain":true}'`,
    `weights  ${url}/v1/weights`,
    `docs     ${url}/docs`,
    `metrics  ${url}/metrics`,
    `data     ${settings.dataDir}`,
  ].join("\n");
}
