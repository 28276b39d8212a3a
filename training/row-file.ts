import {
  DOUBLE,
  DuckDBDataChunk,
  DuckDBInstance,
  type DuckDBType,
  FLOAT,
  UINTEGER,
  VARCHAR,
} from "@duckdb/node-api";
import { RoostError } from "../errors.ts";
import type { TrainingRows } from "../features/rows.ts";

/** Rows of one DuckDB data chunk. */
const CHUNK_ROWS = 2048;

/** A column of the file: its type and its cell for a row; null = missing. */
interface FileColumn {
  readonly name: string;
  readonly type: DuckDBType;
  readonly cell: (row: number) => string | number | null;
}

/** More columns than the rows themselves have, row-major [n, names]. */
export interface ExtraColumns {
  readonly names: readonly string[];
  readonly values: Float32Array;
}

/**
 * Writes rows for models that are trained elsewhere: `.csv` as CSV, anything else as Parquet. Columns: user_id, post_id,
 * time_ms, split, position, in_network, every feature by its name, `id_<name>` hashes (0 = missing), `label_<head>`, and
 * `extra`. A missing value is null.
 * @param splitOf the part that a row belongs to
 * @throws BAD_ARGUMENT when the file cannot be written
 */
export async function writeRowFile(
  file: string,
  rows: TrainingRows,
  splitOf: (row: number) => string,
  extra: ExtraColumns = { names: [], values: new Float32Array(0) },
): Promise<void> {
  const columns = fileColumns(rows, splitOf, extra);
  const database = await DuckDBInstance.create(":memory:", { threads: "1", memory_limit: "2GB" });
  try {
    const connection = await database.connect();
    const declared = columns.map(({ name, type }) => `"${name}" ${type}`).join(", ");
    await connection.run(`CREATE TABLE rows (${declared})`);
    const appender = await connection.createAppender("rows");
    for (let start = 0; start < rows.n; start += CHUNK_ROWS) {
      const size = Math.min(CHUNK_ROWS, rows.n - start);
      const chunk = DuckDBDataChunk.create(
        columns.map(({ type }) => type),
        size,
      );
      chunk.setColumns(
        columns.map(({ cell }) => Array.from({ length: size }, (_, i) => cell(start + i))),
      );
      appender.appendDataChunk(chunk);
    }
    appender.closeSync();
    const format = file.endsWith(".csv")
      ? "format csv, header"
      : "format parquet, compression zstd";
    await connection.run(`COPY rows TO '${file.replaceAll("'", "''")}' (${format})`);
  } catch (cause) {
    throw new RoostError(
      "BAD_ARGUMENT",
      `${file} cannot be written: ${(cause as Error).message}`,
      cause,
    );
  } finally {
    database.closeSync();
  }
}

function fileColumns(
  rows: TrainingRows,
  splitOf: (row: number) => string,
  extra: ExtraColumns,
): FileColumn[] {
  const matrix = (
    prefix: string,
    names: readonly string[],
    values: Float32Array | Uint32Array,
    type: DuckDBType,
  ): FileColumn[] =>
    names.map((name, c) => ({
      name: `${prefix}${name}`,
      type,
      cell: (row) => orNull(values[row * names.length + c] as number),
    }));
  return [
    { name: "user_id", type: VARCHAR, cell: (row) => rows.userIds[row] as string },
    { name: "post_id", type: VARCHAR, cell: (row) => rows.postIds[row] as string },
    { name: "time_ms", type: DOUBLE, cell: (row) => rows.timeMs[row] as number },
    { name: "split", type: VARCHAR, cell: splitOf },
    { name: "position", type: FLOAT, cell: (row) => orNull(rows.position[row] as number) },
    { name: "in_network", type: FLOAT, cell: (row) => orNull(rows.inNetwork[row] as number) },
    ...matrix("", rows.featureNames, rows.features, FLOAT),
    ...matrix("id_", rows.idNames, rows.ids, UINTEGER),
    ...matrix("label_", rows.headNames, rows.labels, FLOAT),
    ...matrix("", extra.names, extra.values, FLOAT),
  ];
}

const orNull = (value: number): number | null => (Number.isNaN(value) ? null : value);
