import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { afterAll, beforeAll, expect, test } from "vitest";
import { simulate } from "../../datasets/commands/simulate.ts";
import { readDataset, readManifest } from "../../datasets/dataset.ts";
import { datasetSplit } from "../../datasets/split.ts";
import { FEATURE_NAMES } from "../../features/registry.ts";
import { type ExportReport, exportRows } from "./export.ts";

const dir = mkdtempSync(join(tmpdir(), "roost-export-"));
const data = join(dir, "data");
const file = join(dir, "rows.parquet");
let report: ExportReport;

beforeAll(async () => {
  await simulate({ preset: "tiny", seed: 5, outDir: data });
  report = await exportRows({ data, file });
});
afterAll(() => rmSync(dir, { recursive: true }));

async function query<T>(sql: string): Promise<T[]> {
  const database = await DuckDBInstance.create(":memory:");
  try {
    const connection = await database.connect();
    const reader = await connection.runAndReadAll(sql.replaceAll("ROWS", `'${file}'`));
    return reader.getRowObjectsJS() as T[];
  } finally {
    database.closeSync();
  }
}

test("there is one row per impression, with every feature, a label and a true probability a head", async () => {
  const manifest = readManifest(data);
  const total = Object.values(report.rows).reduce((a, b) => a + b);
  expect(total).toBe(manifest.impressions);
  const columns = (await query<{ column_name: string }>("DESCRIBE SELECT * FROM ROWS")).map(
    ({ column_name }) => column_name,
  );
  for (const name of FEATURE_NAMES) expect(columns).toContain(name);
  for (const head of manifest.heads) {
    expect(columns).toContain(`label_${head}`);
    expect(columns).toContain(`p_${head}`);
  }
});

test("the split is by time, as in training, and what is held out is the test", async () => {
  const split = datasetSplit(readManifest(data));
  const parts = await query<{ split: string; first: number; last: number; n: bigint }>(
    "SELECT split, min(time_ms) AS first, max(time_ms) AS last, count(*) AS n FROM ROWS GROUP BY split",
  );
  expect(parts.map((part) => part.split).sort()).toEqual(["test", "train", "validation"]);
  for (const { split: name, first, last, n } of parts) {
    const range = split[name as keyof typeof split];
    expect(first).toBeGreaterThanOrEqual(range?.fromMs as number);
    expect(last).toBeLessThan(range?.toMs as number);
    expect(Number(n)).toBe(report.rows[name]);
  }
});

test("labels are what the log says happened, counted independently", async () => {
  const counts = new Map<string, number>();
  for await (const batch of readDataset(data, { heldOut: true }))
    for (const event of batch)
      if (event.type === "engagement" && event.value === undefined)
        counts.set(event.head, (counts.get(event.head) ?? 0) + 1);
  const [sums] = await query<Record<string, number>>(
    "SELECT sum(label_click) AS click, sum(label_favorite) AS favorite, sum(label_dwell) AS dwell FROM ROWS",
  );
  for (const head of ["click", "favorite", "dwell"]) expect(sums?.[head]).toBe(counts.get(head));
});

test("true probabilities are calibrated against the labels, and a closed gate has neither", async () => {
  for (const head of ["click", "favorite", "dwell"]) {
    const [row] = await query<{ happened: number; expected: number; variance: number }>(
      `SELECT sum(label_${head}) AS happened, sum(p_${head}) AS expected, sum(p_${head} * (1 - p_${head})) AS variance FROM ROWS`,
    );
    const { happened, expected, variance } = row as NonNullable<typeof row>;
    expect(Math.abs(happened - expected)).toBeLessThan(4.5 * Math.sqrt(variance));
  }
  const [gates] = await query<{ wrong: bigint; masked: bigint }>(
    `SELECT count(*) FILTER (label_video_view IS NULL AND p_video_view > 0) AS wrong,
            count(*) FILTER (label_video_view IS NULL) AS masked FROM ROWS`,
  );
  expect(gates?.wrong).toBe(0n);
  expect(Number(gates?.masked)).toBeGreaterThan(0);
});

test("a range and a name ending in .csv give that part as CSV with a header", async () => {
  const csv = join(dir, "rows.csv");
  const { held_out_from_ms } = readManifest(data);
  const part = await exportRows({ data, file: csv, fromMs: held_out_from_ms as number });
  expect(part.rows).toEqual({ test: report.rows.test });
  const lines = readFileSync(csv, "utf8").trimEnd().split("\n");
  expect(lines[0]).toMatch(/^user_id,post_id,time_ms,split,/);
  expect(lines).toHaveLength((report.rows.test as number) + 1);
});

test("a directory without a data set and a file that cannot be written are refused by name", async () => {
  await expect(exportRows({ data: dir, file })).rejects.toMatchObject({ code: "BAD_DATASET" });
  await expect(exportRows({ data, file: join(dir, "no", "rows.csv") })).rejects.toMatchObject({
    code: "BAD_ARGUMENT",
    message: expect.stringContaining("rows.csv"),
  });
});
