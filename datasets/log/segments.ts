import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setImmediate } from "node:timers/promises";
import { type DuckDBConnection, type DuckDBDataChunk, DuckDBInstance } from "@duckdb/node-api";
import { RoostError } from "../../errors.ts";
import type { Event, EventType, LoggedEvent } from "../events.ts";
import { CHUNK_ROWS, SegmentBuffer } from "./segment-buffer.ts";
import { segmentDecoder } from "./segment-decoder.ts";
import {
  listSegments,
  publishSegment,
  type SegmentInfo,
  segmentName,
  sweepPartial,
  verifySegment,
} from "./segment-files.ts";
import { FROM_PARQUET, STAGING_COLUMNS, TO_PARQUET } from "./segment-layout.ts";
import { inSequence, timeWindows, type Window } from "./segment-windows.ts";

// 2^18 rows are 10–30 MB of Parquet: few files for a day, and one segment's columns fit in memory twice.
const ROWS_PER_SEGMENT = 1 << 18;
/** A record of what was served can take 100 kB: a segment of such must still fit the memory that DuckDB is given. */
const CHARACTERS_PER_SEGMENT = 1 << 26;

/**
 * Writes events into immutable Parquet segments, numbering them from the last seq of the directory on. Memory holds
 * at most two segments when the promises that `append` returns are awaited. One writer a directory: it sweeps what a
 * crash left half-written. Same events, same bytes.
 */
export class SegmentWriter {
  readonly #dir: string;
  readonly #rowsPerSegment: number;
  readonly #charactersPerSegment: number;
  /** Characters in full buffers. */
  #characters = 0;
  #nextSeq: number;
  #buffers: SegmentBuffer[] = [];
  #facts: SegmentFacts;
  #database: Promise<DuckDBInstance> | undefined;
  #written: Promise<unknown> = Promise.resolve();
  readonly #segments: SegmentInfo[] = [];

  /** @throws BAD_SEGMENT when the segments that are there cannot be continued */
  constructor(
    dir: string,
    options: {
      rowsPerSegment?: number;
      /** Characters of texts after which a segment ends before it has all its rows. */
      charactersPerSegment?: number;
      /** Seq of the first event in an empty directory; refused when segments say otherwise. Default 1. */
      firstSeq?: number;
    } = {},
  ) {
    this.#dir = dir;
    this.#rowsPerSegment = options.rowsPerSegment ?? ROWS_PER_SEGMENT;
    this.#charactersPerSegment = options.charactersPerSegment ?? CHARACTERS_PER_SEGMENT;
    if (!(Number.isInteger(this.#rowsPerSegment) && this.#rowsPerSegment > 0))
      throw new RoostError("BAD_ARGUMENT", "rowsPerSegment must be a whole number above 0");
    mkdirSync(dir, { recursive: true });
    sweepPartial(dir);
    const last = listSegments(dir).at(-1)?.last_seq;
    this.#nextSeq = last === undefined ? (options.firstSeq ?? 1) : last + 1;
    if (options.firstSeq !== undefined && options.firstSeq !== this.#nextSeq)
      throw new RoostError(
        "BAD_SEGMENT",
        `${dir} continues at seq ${this.#nextSeq}, not at ${options.firstSeq}`,
      );
    this.#facts = emptyFacts(this.#nextSeq);
  }

  /** The seq that the next event gets. */
  get nextSeq(): number {
    return this.#nextSeq;
  }

  /**
   * Adds one event. Returns a promise when a segment became full: await it before the next call.
   * @throws BAD_EVENT when the event does not fit the schema
   */
  append(event: Event): Promise<void> | undefined {
    let buffer = this.#buffers.at(-1);
    if (buffer === undefined || buffer.rows === CHUNK_ROWS) {
      this.#characters += buffer?.characters ?? 0;
      buffer = new SegmentBuffer();
      this.#buffers.push(buffer);
    }
    buffer.append(this.#nextSeq, event);
    note(this.#facts, event, this.#nextSeq);
    this.#nextSeq++;
    const isFull =
      this.#facts.rows === this.#rowsPerSegment ||
      this.#characters + buffer.characters >= this.#charactersPerSegment;
    return isFull ? this.#rotate() : undefined;
  }

  /** Adds many events, waiting where `append` asks for it. */
  async appendAll(events: Iterable<Event>): Promise<void> {
    for (const event of events) {
      const full = this.append(event);
      if (full !== undefined) await full;
    }
  }

  /** Writes what is left as a last, smaller segment and returns all segments written by this writer. */
  async close(): Promise<SegmentInfo[]> {
    if (this.#facts.rows > 0) this.#rotate();
    try {
      await this.#written;
    } finally {
      (await this.#database)?.closeSync();
    }
    return this.#segments;
  }

  /** Starts writing the full buffers; resolves when the segment before is done, so that one is always in flight. */
  #rotate(): Promise<void> {
    const [buffers, facts] = [this.#buffers, this.#facts];
    this.#buffers = [];
    this.#characters = 0;
    this.#facts = emptyFacts(this.#nextSeq);
    const previous = this.#written;
    this.#written = previous.then(() => this.#write(buffers, facts));
    // The failure is told by the next append or by close().
    this.#written.catch(() => {});
    return previous.then(() => undefined);
  }

  async #write(buffers: SegmentBuffer[], facts: SegmentFacts): Promise<void> {
    this.#database ??= DuckDBInstance.create(":memory:", { threads: "1", memory_limit: "1GB" });
    const connection = await (await this.#database).connect();
    const name = segmentName(facts.first_seq, facts.last_seq);
    const temporary = path.join(this.#dir, `${name}.parquet.tmp`);
    try {
      await connection.run(`CREATE OR REPLACE TABLE staging (${STAGING_COLUMNS})`);
      await stage(connection, buffers);
      await connection.run(
        `COPY (SELECT ${TO_PARQUET} FROM staging) TO '${temporary.replaceAll("'", "''")}'
         (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE 65536)`,
      );
      await connection.run("DROP TABLE staging");
    } finally {
      connection.closeSync();
    }
    this.#segments.push(await publishSegment(this.#dir, temporary, facts));
  }
}

async function stage(connection: DuckDBConnection, buffers: SegmentBuffer[]): Promise<void> {
  const appender = await connection.createAppender("staging");
  for (let buffer = buffers.shift(); buffer; buffer = buffers.shift()) {
    appender.appendDataChunk(buffer.toChunk());
    // Copying into DuckDB is synchronous, about 1 ms a chunk: let the event loop breathe between chunks.
    await setImmediate();
  }
  appender.closeSync();
}

interface SegmentFacts {
  rows: number;
  first_seq: number;
  last_seq: number;
  min_time_ms: number;
  max_time_ms: number;
  time_ordered: boolean;
  types: Record<string, number>;
}

const emptyFacts = (firstSeq: number): SegmentFacts => ({
  rows: 0,
  first_seq: firstSeq,
  last_seq: firstSeq,
  min_time_ms: Number.POSITIVE_INFINITY,
  max_time_ms: Number.NEGATIVE_INFINITY,
  time_ordered: true,
  types: {},
});

function note(facts: SegmentFacts, event: Event, seq: number): void {
  facts.rows++;
  facts.last_seq = seq;
  if (event.time_ms < facts.max_time_ms) facts.time_ordered = false;
  else facts.max_time_ms = event.time_ms;
  if (event.time_ms < facts.min_time_ms) facts.min_time_ms = event.time_ms;
  facts.types[event.type] = (facts.types[event.type] ?? 0) + 1;
}

export interface SegmentRead {
  /** `time`: by (time_ms, seq), the order in which things became known. `seq`: as they were logged. */
  readonly order: "time" | "seq";
  /** Smallest and largest seq to read, inclusive. */
  readonly fromSeq?: number | undefined;
  readonly toSeq?: number | undefined;
  /** Half-open range of event time. */
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
  readonly types?: readonly EventType[] | undefined;
}

/**
 * The events of a directory's segments, in batches of up to 2,048, in the asked order.
 * Checks each file against its checksum before the first row.
 * @throws BAD_SEGMENT when a segment is missing, damaged or of a newer schema
 */
export async function* readSegments(dir: string, read: SegmentRead): AsyncGenerator<LoggedEvent[]> {
  const { fromSeq = 0, toSeq = Infinity, fromMs = -Infinity, toMs = Infinity, types } = read;
  const segments = listSegments(dir).filter(
    (s) =>
      s.last_seq >= fromSeq &&
      s.first_seq <= toSeq &&
      s.max_time_ms >= fromMs &&
      s.min_time_ms < toMs &&
      (types === undefined || types.some((type) => s.types[type] !== undefined)),
  );
  if (segments.length === 0) return;
  for (const segment of segments) await verifySegment(segment);

  const database = await DuckDBInstance.create(":memory:", {
    threads: "1",
    memory_limit: "1GB",
    temp_directory: path.join(tmpdir(), `roost-sort-${process.pid}`),
  });
  let next: Promise<DuckDBDataChunk | null> = Promise.resolve(null);
  try {
    const connection = await database.connect();
    const decode = segmentDecoder();
    for (const window of read.order === "seq" ? [inSequence(segments)] : timeWindows(segments)) {
      const result = await connection.stream(query(window, read));
      // The next chunk is read on DuckDB's thread while this one is decoded.
      const prefetch = (): void => {
        next = result.fetchChunk();
        // Its failure is told by the `await` below, which may come much later.
        next.catch(() => {});
      };
      prefetch();
      for (;;) {
        const chunk = await next;
        if (chunk === null || chunk.rowCount === 0) break;
        prefetch();
        yield decode(chunk);
      }
    }
  } catch (cause) {
    if (cause instanceof RoostError) throw cause;
    throw new RoostError("BAD_SEGMENT", `${dir} cannot be read`, cause);
  } finally {
    // A reader that stops early leaves a fetch running: closing under it would crash the process.
    await next.catch(() => {});
    database.closeSync();
  }
}

function query(window: Window, read: SegmentRead): string {
  const files = window.segments.map((s) => `'${s.file.replaceAll("'", "''")}'`).join(", ");
  const conditions = [
    ["seq >=", read.fromSeq],
    ["seq <=", read.toSeq],
    ["time_ms >=", Math.max(window.fromMs, read.fromMs ?? -Infinity)],
    ["time_ms <", Math.min(window.toMs, read.toMs ?? Infinity)],
  ]
    .filter(([, bound]) => Number.isFinite(bound))
    .map(([comparison, bound]) => `${comparison} ${bound}`);
  if (read.types) conditions.push(`type IN (${read.types.map((type) => `'${type}'`).join(", ")})`);
  const where = conditions.length > 0 ? `WHERE ${conditions.join(" AND ")}` : "";
  return `SELECT ${FROM_PARQUET} FROM read_parquet([${files}]) ${where} ${
    window.sort ? "ORDER BY time_ms, seq" : ""
  }`;
}
