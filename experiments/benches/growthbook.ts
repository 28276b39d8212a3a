import { existsSync, readFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { RoostError } from "../../errors.ts";
import { assign } from "../assignment/assign.ts";
import { loadExperiments } from "../assignment/config.ts";
import { conformance } from "../assignment/conformance.ts";
import { bucket } from "../assignment/hash.ts";

/**
 * How many of GrowthBook's published cases pass, by section, and what an assignment costs beside a bare hash.
 * Exit code 1 when a case fails or the cases cannot be read.
 */
const USAGE = "usage: roost bench growthbook [--cases FILE] [--json]";

interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly asked?: number;
  readonly ok?: boolean;
}

const ROUNDS = 9;
const UNITS = 20_000;

/** Two experiments of one layer and one beside it: a unit passes two layer filters, two or three splits and a condition. */
const CONFIG = loadExperiments(
  {
    layers: [{ id: "ranking", parameters: ["factor"] }],
    experiments: [
      {
        key: "factor-low",
        status: "running",
        layer: { id: "ranking", ranges: [[0, 0.5]] },
        variations: [{ key: "control" }, { key: "low", parameters: { factor: 0.5 } }],
      },
      {
        key: "factor-high",
        status: "running",
        layer: { id: "ranking", ranges: [[0.5, 1]] },
        variations: [{ key: "control" }, { key: "high", parameters: { factor: 0.9 } }],
      },
      {
        key: "decay",
        status: "running",
        condition: { country: { $in: ["JP", "DE"] } },
        variations: [{ key: "control" }, { key: "slow", parameters: { decay: 0.7 } }],
      },
    ],
  },
  {
    parameters: [
      { name: "factor", kind: "number" },
      { name: "decay", kind: "number" },
    ],
    heads: [],
  },
);

function microsPerUnit(run: (userId: string) => unknown): number {
  const started = process.hrtime.bigint();
  for (let i = 0; i < UNITS; i++) run(String(1_580_000_000_000_000_000n + BigInt(i)));
  return Number(process.hrtime.bigint() - started) / 1000 / UNITS;
}

function speedFigures(): { figures: Figure[]; rounds: { assign_us: number; hash_us: number }[] } {
  const runs = {
    assign_us: (user_id: string) => assign(CONFIG, { user_id, country: "JP" }),
    hash_us: (userId: string) => bucket("seed", userId, 2),
  };
  for (const run of Object.values(runs)) microsPerUnit(run);
  const rounds = Array.from({ length: ROUNDS }, (_, round) => {
    // The order alternates, so that neither always runs on the warmer machine.
    if (round % 2 === 0) {
      const assign_us = microsPerUnit(runs.assign_us);
      return { assign_us, hash_us: microsPerUnit(runs.hash_us) };
    }
    const hash_us = microsPerUnit(runs.hash_us);
    return { assign_us: microsPerUnit(runs.assign_us), hash_us };
  });
  const median = (values: number[]): number =>
    values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;
  const assignUs = median(rounds.map((round) => round.assign_us));
  const hashUs = median(rounds.map((round) => round.hash_us));
  return {
    rounds,
    figures: [
      { name: "assign_us", value: assignUs, unit: "µs" },
      { name: "hash_us", value: hashUs, unit: "µs" },
      { name: "assign_over_hash", value: assignUs / hashUs, unit: "ratio" },
    ],
  };
}

function main(): void {
  const shared = process.env.ROOST_SHARED ?? "../shared";
  const { values } = parseArgs({
    options: {
      cases: { type: "string", default: join(shared, "conformance/growthbook-sdk/cases.json") },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  if (!existsSync(values.cases))
    throw new RoostError(
      "BAD_ARGUMENT",
      `there is no ${values.cases}: name GrowthBook's test cases, cases.json of its SDKs, by --cases`,
    );
  const cases = JSON.parse(readFileSync(values.cases, "utf8")) as Record<string, unknown>;
  const sections = conformance(cases);
  const figures: Figure[] = sections.map(({ section, passed, total }) => ({
    name: `${section}_passed`,
    value: passed,
    unit: "cases",
    asked: total,
    ok: total > 0 && passed === total,
  }));
  const speed = speedFigures();
  figures.push(...speed.figures);

  if (values.json) {
    const machine = `${cpus()[0]?.model ?? "unknown"} × ${cpus().length}`;
    const report = {
      bench: "growthbook",
      machine,
      node: process.version,
      // Nothing is drawn: the cases are fixed.
      seed: 0,
      load_average: loadavg(),
      figures,
      rounds: speed.rounds,
    };
    console.log(JSON.stringify(report));
  } else {
    for (const { name, value, unit, asked } of figures) {
      const amount = Number.isInteger(value) ? String(value) : value.toFixed(2);
      console.log(
        `${name.padEnd(32)} ${amount}${asked === undefined ? "" : ` / ${asked}`} ${unit}`,
      );
    }
  }
  for (const { section, failures } of sections) {
    for (const failure of failures) console.error(`${section}: ${JSON.stringify(failure)}`);
  }
  if (figures.some((figure) => figure.ok === false)) process.exitCode = 1;
}

try {
  main();
} catch (error) {
  console.error(
    error instanceof RoostError
      ? `roost: ${error.message}; ${error.remedy}`
      : `${error instanceof Error ? error.message : error}\n${USAGE}`,
  );
  process.exitCode = 1;
}
