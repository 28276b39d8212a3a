import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Logger } from "pino";
import type { DataDir } from "../datasets/storage/data-dir.ts";
import type { ServerClock } from "./http/services.ts";
import type { Metrics } from "./metrics/metrics.ts";
import type { Settings } from "./settings.ts";
import { EXPERIMENTS_KIND } from "./versions/experiments-kind.ts";
import type { followFile, takeFirst } from "./versions/follow-file.ts";
import { LiveConfig, type ReloadReport } from "./versions/live-config.ts";
import { VersionStore } from "./versions/version-store.ts";
import { WEIGHTS_KIND } from "./versions/weights-kind.ts";

/** How often moves by another process are looked for. */
const REFRESH_MS = 1_000;

export interface ConfigurationParts {
  readonly clock: ServerClock;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** What to do with an error of what is done in the background. */
  readonly failed: (what: string) => (error: unknown) => void;
  /** Whether the settings' files are followed. */
  readonly take: typeof followFile | typeof takeFirst;
}

/** Versions of weights and experiments, and those that are in force, which follow files and other processes. */
export async function openConfiguration(
  settings: Settings,
  dir: DataDir,
  { clock, metrics, logger, failed, take }: ConfigurationParts,
  opened: (() => unknown)[],
) {
  const versions = new VersionStore(dir.at("versions"), [WEIGHTS_KIND, EXPERIMENTS_KIND]);
  opened.push(() => versions.close());
  const report: ReloadReport = {
    loaded: ({ kind, name, checksum }, from, by) => {
      metrics.versionInForce(kind, name, checksum);
      logger.info({ kind, name, checksum, from, by }, "version in force");
    },
    refused: (error, by) => logger.error({ by, problem: error.message }, "an edit was refused"),
  };
  const weights = new LiveConfig(versions, WEIGHTS_KIND, "current", report);
  const experiments = new LiveConfig(versions, EXPERIMENTS_KIND, "current", report);
  opened.push(await take(weights, weightsPath(settings), clock, failed("following the weights")));
  opened.push(
    await take(experiments, settings.experimentsFile, clock, failed("following the experiments")),
  );
  const refresh = setInterval(() => {
    void weights.refresh().catch(failed("following the weights"));
    void experiments.refresh().catch(failed("following the experiments"));
  }, REFRESH_MS);
  opened.push(() => clearInterval(refresh));
  return { versions, weights, experiments };
}

/** The file behind the weights: a preset's own, or the one that the setting names. */
function weightsPath({ weights }: Settings): string {
  const preset = fileURLToPath(new URL(`./weights/presets/${weights}.yaml`, import.meta.url));
  return existsSync(preset) ? preset : weights;
}
