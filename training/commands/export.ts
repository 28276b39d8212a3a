import { Command } from "commander";
import { type DatasetManifest, readDataset, readManifest } from "../../datasets/dataset.ts";
import { WORLD_HEADS } from "../../datasets/heads.ts";
import { datasetSplit, moment, partOf } from "../../datasets/split.ts";
import { RowTruth } from "../../datasets/world/row-truth.ts";
import { createWorldOf } from "../../datasets/world/world-of.ts";
import { RoostError } from "../../errors.ts";
import { FEATURE_NAMES } from "../../features/registry.ts";
import { Replay } from "../../features/replay.ts";
import { HEAVY_IDS } from "../feature-sets.ts";
import { type ExtraColumns, writeRowFile } from "../row-file.ts";

export interface ExportRequest {
  readonly data: string;
  /** `.csv` gives CSV, anything else Parquet. */
  readonly file: string;
  readonly fromMs?: number;
  readonly toMs?: number;
}

export interface ExportReport {
  readonly file: string;
  readonly rows: Readonly<Record<string, number>>;
  readonly features: number;
  readonly heads: readonly string[];
  /** Whether true probabilities `p_<head>` are in it. */
  readonly truth: boolean;
}

/** Writes the point-in-time rows of a data set, with the split that `roost train` makes; what is held out is the test. */
export async function exportRows({
  data,
  file,
  fromMs,
  toMs,
}: ExportRequest): Promise<ExportReport> {
  const manifest = readManifest(data);
  const range = { fromMs: fromMs ?? manifest.from_ms, toMs: toMs ?? manifest.to_ms + 1 };
  if (!(range.fromMs < range.toMs))
    throw new RoostError("BAD_ARGUMENT", "--from must be before --to");
  const world = createWorldOf(manifest);
  const truth = world && new RowTruth(world, range);
  const replay = new Replay({
    features: FEATURE_NAMES,
    ids: HEAVY_IDS,
    heads: manifest.heads,
    ...range,
  });
  for await (const batch of readDataset(data, { heldOut: true }))
    for (const event of batch) {
      replay.push(event);
      truth?.observe(event);
    }
  replay.settle();
  const rows = replay.rows();
  const split = datasetSplit(manifest);
  const part = (row: number): string => partOf(split, rows.timeMs[row] as number) ?? "none";
  await writeRowFile(file, rows, part, truth === undefined ? undefined : truthColumns(truth));
  const counts: Record<string, number> = {};
  for (let row = 0; row < rows.n; row++) counts[part(row)] = (counts[part(row)] ?? 0) + 1;
  return {
    file,
    rows: counts,
    features: rows.featureNames.length,
    heads: manifest.heads,
    truth: truth !== undefined,
  };
}

function truthColumns(truth: RowTruth): ExtraColumns {
  return { names: WORLD_HEADS.map((head) => `p_${head}`), values: truth.values() };
}

interface ExportFlags {
  data: string;
  rows: string;
  from?: string;
  to?: string;
  json?: boolean;
}

export function exportCommand(): Command {
  return new Command("export")
    .description("write visible features, labels, true probabilities and split of a data set")
    .requiredOption("--data <dir>", "directory that roost simulate or roost import wrote")
    .requiredOption("--rows <file>", "the file to write; .csv gives CSV, anything else Parquet")
    .option("--from <date>", "first day, or a moment; the beginning when not given")
    .option("--to <date>", "last day (its end), or a moment; the end when not given")
    .option("--json", "print the report as JSON")
    .action(async (flags: ExportFlags) => {
      const report = await exportRows(requestOf(flags, readManifest(flags.data)));
      process.stdout.write(
        flags.json ? `${JSON.stringify(report, null, 2)}\n` : `${readable(report)}\n`,
      );
    });
}

function requestOf(
  { data, rows, from, to }: ExportFlags,
  manifest: DatasetManifest,
): ExportRequest {
  const offset = manifest.utc_offset_hours;
  return {
    data,
    file: rows,
    ...(from === undefined ? {} : { fromMs: moment(from, "start", offset) }),
    ...(to === undefined ? {} : { toMs: moment(to, "end", offset) }),
  };
}

function readable({ file, rows, features, heads, truth }: ExportReport): string {
  const parts = Object.entries(rows).map(([part, n]) => `${n} ${part}`);
  const beside = truth ? ", labels and true probabilities" : " and labels";
  return `${file}: ${parts.join(", ")} rows; ${features} features${beside} of ${heads.length} heads`;
}
