import type { Event } from "../../datasets/events.ts";
import { PHASES, type Phase } from "../../datasets/phases.ts";
import type { Random } from "../../datasets/random.ts";
import { CrashLoad } from "./crash-load.ts";
import { sendEvents, startCrashServer } from "./crash-process.ts";

const CLIENTS = 6;
/** A step that does not come in this time is not waited for: the server is killed from outside. */
export const PATIENCE_MS = 15_000;
/** Times a step may begin before the one in which the server dies, so that it dies in the middle of things. */
const MOST_BEGUN: Readonly<Record<Phase, number>> = {
  append: 120,
  apply: 80,
  checkpoint: 2,
  segment_rename: 6,
  fan_out: 15,
};
const MOST_DELAY_MS = 4;

/** A moment of a step for a server to die in. */
export const deathIn = (phase: Phase, random: Random) => ({
  phase,
  nth: 1 + random.below(MOST_BEGUN[phase]),
  delayMs: random.below(1 + MOST_DELAY_MS),
});

/** What became of the servers of a drill. */
export interface CrashDrill {
  /** Kills by the step under way, `outside` where the step did not come. */
  readonly kills: Readonly<Record<string, number>>;
  /** Event ids that were acknowledged. */
  readonly acknowledged: ReadonlySet<string>;
  /** Batches that were sent again after a crash, because nobody had answered. */
  readonly repeated: number;
}

export interface CrashDrillOptions {
  readonly dataDir: string;
  readonly kills: number;
  /** Keeps log, features and timelines there; without it nothing is fanned out. */
  readonly redisUrl?: string;
  /** Arguments of node that run a server's source. Default: those of this process. */
  readonly nodeArgs?: readonly string[];
  readonly random: Random;
  readonly nowMs: () => number;
  /** Called after each kill, before the next start. */
  readonly afterKill?: (drill: CrashDrill, kill: number) => Promise<void>;
}

/**
 * Starts a server again and again, loads it from several clients and lets it die by SIGKILL in one step of the write path
 * after another. Clients send a batch again under the same event ids until it is answered, as they should.
 */
export async function crashDrill(options: CrashDrillOptions): Promise<CrashDrill> {
  const { kills, redisUrl, random, nowMs } = options;
  const phases = PHASES.filter((phase) => phase !== "fan_out" || redisUrl !== undefined);
  const load = new CrashLoad(random);
  const acknowledged = new Set<string>();
  const byPhase: Record<string, number> = {};
  let unanswered: Event[][] = [];
  let repeated = 0;
  const drill = (): CrashDrill => ({ kills: byPhase, acknowledged, repeated });

  for (let kill = 0; kill < kills; kill++) {
    const phase = phases[kill % phases.length] as Phase;
    const server = await startCrashServer({ ...options, death: deathIn(phase, random) });
    const again = unanswered;
    repeated += again.length;
    unanswered = [];
    const client = async (): Promise<void> => {
      while (!server.ended()) {
        const batch = again.pop() ?? load.batch(nowMs());
        const answered = await sendEvents(server.port, batch).catch(() => undefined);
        if (answered === undefined) unanswered.push(batch);
        else for (const id of answered) acknowledged.add(id);
      }
    };
    const patience = setTimeout(() => server.child.kill("SIGKILL"), PATIENCE_MS);
    await Promise.all(Array.from({ length: CLIENTS }, client));
    clearTimeout(patience);
    unanswered.push(...again);
    const died = await server.died;
    byPhase[died] = (byPhase[died] ?? 0) + 1;
    await options.afterKill?.(drill(), kill);
  }
  return drill();
}
