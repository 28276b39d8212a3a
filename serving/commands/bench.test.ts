import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readLineage, readVersion } from "../../features/models/versions.ts";

const dir = mkdtempSync(join(tmpdir(), "roost-bench-"));
afterAll(() => rmSync(dir, { recursive: true }));

const roost = (...args: string[]): string => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--import", "tsx", "roost.ts", ...args],
    { encoding: "utf8", env: { PATH: process.env.PATH, HOME: process.env.HOME } },
  );
  expect(status, stderr).toBe(0);
  return stdout;
};
interface Figure {
  readonly name: string;
  readonly value: number;
}
interface Row {
  readonly variant: string;
  readonly version: string;
  readonly parameters: number;
  readonly bytes: number;
  readonly p50_ms: number;
  readonly auc_loss: readonly { readonly head: string; readonly value: number }[];
}

test("bench inference makes its variants and prints the path, its floor, and one table", async () => {
  const space = join(dir, "space");
  roost("simulate", "--preset", "tiny", "--seed", "4", "--out", space);
  roost("train", "--data", space, "--rankers", "heavy", "--metric-rounds", "20");
  const told = JSON.parse(
    roost("bench", "inference", "--data", space, "--rounds", "1", "--json"),
  ) as { figures: Figure[]; table: [Row, Row, Row, Row] };
  expect(told.figures.map(({ name }) => name)).toEqual(
    expect.arrayContaining([
      "heavy_500_p50_ms",
      "raw_500_p50_ms",
      "gflops_1_thread",
      "floor_ratio",
    ]),
  );
  for (const { name, value } of told.figures) expect(value, name).toBeGreaterThan(0);

  const [written, saved, quantised, student] = told.table;
  expect(saved.version).toBe(written.version);
  expect(quantised.bytes).toBeLessThan(written.bytes);
  expect(student.parameters).toBeLessThan(0.5 * written.parameters);
  for (const row of told.table) {
    expect(row.p50_ms).toBeGreaterThan(0);
    expect(row.auc_loss.map(({ head }) => head)).toEqual(["click", "favorite"]);
  }
  for (const { value } of saved.auc_loss) expect(Math.abs(value)).toBeLessThan(1e-3);
  for (const { value } of quantised.auc_loss) expect(Math.abs(value)).toBeLessThan(0.01);

  const stage = join(space, "models", "heavy");
  for (const [{ version }, command] of [
    [quantised, "quantise"],
    [student, "--student-of"],
  ] as const) {
    const lineage = await readLineage(stage, version);
    expect(lineage?.parent).toBe(written.version);
    expect(lineage?.command).toContain(command);
  }
  const { manifest } = await readVersion(stage, quantised.version);
  expect(manifest.settings.quantised).toMatchObject({ from: written.version, bits: 8 });
  const champion = await readVersion(stage, written.version);
  expect(manifest.validation).toEqual(champion.manifest.validation);
  expect(manifest.calibration).toEqual(champion.manifest.calibration);
  // The usual gate: measured on the champion's rows, it may take its place.
  expect(roost("models", "promote", quantised.version, "--data", space)).toContain("passed");
}, 180_000);

test("bench train says why PyTorch is skipped and prints its own figures all the same", () => {
  const args = ["bench", "train", "--rounds", "1", "--steps", "2", "--data-dir", dir];
  const missing = ["--python", join(dir, "no-python")];
  const told = JSON.parse(roost(...args, ...missing, "--json")) as {
    figures: Figure[];
    torch: { skipped: string };
  };
  expect(told.torch.skipped).toContain("no-python");
  const names = told.figures.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(["rows_per_s_1_thread", "rows_per_s_2_threads"]));
  expect(names.filter((name) => name.startsWith("torch"))).toEqual([]);
  expect(roost(...args, "--no-torch")).toContain("torch: skipped: --no-torch");
}, 120_000);
