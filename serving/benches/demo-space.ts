import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { RoostError } from "../../errors.ts";
import { hasChampion } from "../../features/models/champion.ts";

const EXTENSION = import.meta.url.slice(-3);
const ROOST = fileURLToPath(new URL(`../../roost${EXTENSION}`, import.meta.url));

/** The seed of the world and its models. */
export const DEMO_SEED = 1;

/** Runs `roost …` in a process of its own. @throws BAD_DATASET when it fails */
export function runRoost(args: readonly string[]): void {
  runProgram(ROOST, args, `roost ${args[0]}`);
}

/** Runs a program in a process of its own. @throws BAD_DATASET when it fails */
export function runProgram(program: string, args: readonly string[], name: string): void {
  const { status } = spawnSync(process.execPath, [...process.execArgv, program, ...args], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (status !== 0) throw new RoostError("BAD_DATASET", `${name} failed for the benchmark`);
}

/** Makes the demo world and its light and heavy champions in `space`, unless they are there. */
export async function prepareDemoSpace(space: string): Promise<void> {
  if (!existsSync(join(space, "dataset.json")))
    runRoost(["simulate", "--preset", "demo", "--seed", String(DEMO_SEED), "--out", space]);
  if (!(await hasChampion(join(space, "models", "heavy"))))
    runRoost(["train", "--data", space, "--rankers", "light,heavy", "--metric-rounds", "0"]);
}
