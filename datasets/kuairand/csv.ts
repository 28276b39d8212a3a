import { createReadStream } from "node:fs";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { StringDecoder } from "node:string_decoder";
import { createGunzip } from "node:zlib";
import { RoostError } from "../../errors.ts";

/** One record of a CSV file; `number` counts data records from 1. */
export interface CsvRecord {
  readonly number: number;
  readonly fields: readonly string[];
}

/** Where columns stand in a file, by header name. */
export interface CsvHeader {
  readonly names: readonly string[];
  /** Index of a column; −1 when the file has none. */
  index(name: string): number;
}

/**
 * Streams a CSV file (RFC 4180, also gzip when the name ends in `.gz`): first `onHeader`, then `onRecords` in batches.
 * Memory stays that of one batch. A record keeps the number of fields that it has; the caller judges it.
 * @throws BAD_DATASET when the file cannot be read, is cut short, is empty or ends inside a quoted field
 */
export async function readCsv(
  file: string,
  onHeader: (header: CsvHeader) => void,
  onRecords: (records: CsvRecord[]) => Promise<void> | undefined,
): Promise<void> {
  const name = path.basename(file);
  let header: CsvHeader | undefined;
  let number = 0;
  const take = (lines: readonly string[]): Promise<void> | undefined => {
    const records: CsvRecord[] = [];
    for (const line of lines) {
      if (line === "") continue;
      const fields = splitLine(line);
      if (header !== undefined) {
        records.push({ number: ++number, fields });
        continue;
      }
      // Spreadsheet programs put a byte order mark first.
      const names = fields.map((field) => field.replace(/^\uFEFF/, "").trim());
      header = { names, index: (column) => names.indexOf(column) };
      onHeader(header);
    }
    return records.length > 0 ? onRecords(records) : undefined;
  };
  try {
    const source = createReadStream(file, { highWaterMark: 1 << 18 });
    const consume = async (chunks: AsyncIterable<Buffer>): Promise<void> => {
      const decoder = new StringDecoder("utf8");
      let rest = "";
      for await (const chunk of chunks) {
        const lines = splitLines(rest + decoder.write(chunk));
        rest = lines.pop() as string;
        await take(lines);
      }
      rest += decoder.end();
      if (countQuotes(rest) % 2 === 1)
        throw new RoostError("BAD_DATASET", `${name} ends inside a quoted field`);
      await take([rest.replace(/\r$/, "")]);
    };
    await (file.endsWith(".gz")
      ? pipeline(source, createGunzip({ chunkSize: 1 << 18 }), consume)
      : pipeline(source, consume));
  } catch (cause) {
    if (cause instanceof RoostError) throw cause;
    throw new RoostError("BAD_DATASET", `${name}: ${(cause as Error).message}`, cause);
  }
  if (header === undefined) throw new RoostError("BAD_DATASET", `${name} is empty`);
}

/** Splits at line ends outside quotes; the last element is what follows the last of them. */
function splitLines(text: string): string[] {
  const raw = text.split("\n");
  if (!text.includes('"')) {
    for (let i = 0; i < raw.length - 1; i++)
      if ((raw[i] as string).endsWith("\r")) raw[i] = (raw[i] as string).slice(0, -1);
    return raw;
  }
  const lines: string[] = [];
  let open = "";
  let inside = false;
  for (let i = 0; i < raw.length; i++) {
    const piece = raw[i] as string;
    const line = inside ? `${open}\n${piece}` : piece;
    inside = countQuotes(piece) % 2 === 1 ? !inside : inside;
    open = line;
    if (!inside && i < raw.length - 1) lines.push(line.endsWith("\r") ? line.slice(0, -1) : line);
    else if (i === raw.length - 1) lines.push(line);
  }
  return lines;
}

function countQuotes(text: string): number {
  let count = 0;
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at + 1)) count++;
  return count;
}

function splitLine(line: string): string[] {
  if (!line.includes('"')) return line.split(",");
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (line[at] !== '"') {
      const end = line.indexOf(",", at);
      fields.push(end < 0 ? line.slice(at) : line.slice(at, end));
      if (end < 0) return fields;
      at = end + 1;
      continue;
    }
    let field = "";
    for (;;) {
      const end = line.indexOf('"', at + 1);
      field += line.slice(at + 1, end < 0 ? undefined : end);
      at = end < 0 ? line.length : end + 1;
      if (line[at] !== '"') break;
      field += '"';
    }
    // What stands between the closing quote and the comma is not CSV; it is kept, as most readers do.
    const end = line.indexOf(",", at);
    fields.push(field + (end < 0 ? line.slice(at) : line.slice(at, end)));
    if (end < 0) return fields;
    at = end + 1;
  }
}
