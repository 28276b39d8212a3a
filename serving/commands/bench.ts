import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { RoostError } from "../../errors.ts";

// In a build the programs are `.js`; the text of a URL is not rewritten by the compiler as imports are.
const EXTENSION = import.meta.url.slice(-3);

/** name → the program that runs it (without its extension), in the folder that owns what it measures, and what it shows. */
const BENCHES: Record<string, { program: string; about: string }> = {
  rank: {
    program: "../benches/rank",
    about: "latency of a whole ranking against the raw model calls inside it",
  },
  inference: {
    program: "../benches/inference",
    about:
      "the heavy model on 500 rows against what its arithmetic needs, and its smaller variants",
  },
  ann: {
    program: "../benches/ann",
    about: "recall, latency and upkeep of the vector index against raw hnswlib",
  },
  retrieval: {
    program: "../benches/retrieval",
    about: "how long a written post takes until retrieval finds it, and a deleted one until not",
  },
  events: {
    program: "../benches/events",
    about: "durable appends to the event log and the lag of a consumer, on LMDB and on Redis",
  },
  features: {
    program: "../benches/features",
    about: "features of one request from Redis, Cluster and LMDB against bare reads of the same",
  },
  fanout: {
    program: "../benches/fanout",
    about: "posts into followers' timelines on a Redis of its own, against raw pipelined ZADD",
  },
  growth: {
    program: "../benches/growth",
    about: "what finding a reader's posts costs with 10 and 100 times as many users and posts",
  },
  train: {
    program: "../../training/benches/train",
    about: "training speed, optimiser included, on one and two threads",
  },
  crash: {
    program: "../benches/crash",
    about: "servers killed in every step of the write path: events lost, events doubled",
  },
  growthbook: {
    program: "../../experiments/benches/growthbook",
    about: "GrowthBook conformance cases passed, by section",
  },
};

/** `roost bench NAME`: every benchmark is a program of its own and runs in a fresh process. */
export function benchCommand(): Command {
  const list = Object.entries(BENCHES).map(([name, { about }]) => `  ${name.padEnd(12)}${about}`);
  return new Command("bench")
    .description("run a benchmark by name")
    .argument("<name>", `one of: ${Object.keys(BENCHES).join(", ")}`)
    .option("--json", "print one JSON object instead of a table")
    .allowUnknownOption()
    .passThroughOptions()
    .argument("[options...]", "options of the benchmark itself")
    .addHelpText("after", `\nBenchmarks:\n${list.join("\n")}`)
    .action(async (name: string, rest: string[], options: { json?: boolean }) => {
      const bench = BENCHES[name];
      if (bench === undefined)
        throw new RoostError(
          "BAD_ARGUMENT",
          `there is no benchmark ${name}; there are: ${Object.keys(BENCHES).join(", ")}`,
        );
      const program = fileURLToPath(new URL(`${bench.program}${EXTENSION}`, import.meta.url));
      const code = await run(program, options.json ? ["--json", ...rest] : rest);
      if (code !== 0) process.exitCode = 1;
    });
}

function run(program: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...process.execArgv, program, ...args], {
      stdio: "inherit",
    });
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? 1));
  });
}
