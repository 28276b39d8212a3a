import { HEADER_BYTES, type PackedHeader, readHeader, writeHeader } from "./packed-value.ts";

/** A key of Redis and the packed value that it gets. */
export interface RedoEntry {
  readonly key: string;
  readonly value: Buffer;
}

/**
 * A batch as one value: header, then for each key its length, the key, the value's length and the value. It is written
 * before the keys, so that whoever opens the store can finish what another began. Values are what shall be there, not what
 * is added, so finishing twice is as finishing once.
 */
export function encodeRedo(entries: readonly RedoEntry[], header: PackedHeader): Buffer {
  const keys = entries.map(({ key }) => Buffer.from(key));
  let size = HEADER_BYTES;
  for (let i = 0; i < entries.length; i++)
    size += 8 + (keys[i] as Buffer).length + (entries[i] as RedoEntry).value.length;
  const record = Buffer.allocUnsafe(size);
  writeHeader(record, FORM_BATCH, header);
  let at = HEADER_BYTES;
  const put = (bytes: Buffer): void => {
    at = record.writeUInt32LE(bytes.length, at);
    record.set(bytes, at);
    at += bytes.length;
  };
  for (let i = 0; i < entries.length; i++) {
    put(keys[i] as Buffer);
    put((entries[i] as RedoEntry).value);
  }
  return record;
}

/** Told apart from the forms of values; no reader of values is handed a record. */
const FORM_BATCH = 16;
const FORM_DROPPING = 17;

/** How far a whole state has been written that takes the layout's place. */
export interface Filling {
  /** Which state: its checksum, 64 hex digits. */
  readonly id: string;
  /** Vectors of it that are there, in its order. */
  readonly written: number;
}

/** Stands in the record's place while the whole layout is being removed, or filled after that. */
export function encodeDropping(header: PackedHeader, filling?: Filling): Buffer {
  const record = Buffer.alloc(HEADER_BYTES + (filling === undefined ? 0 : FILLING_BYTES));
  writeHeader(record, FORM_DROPPING, header);
  if (filling !== undefined) {
    record.writeUIntLE(filling.written, HEADER_BYTES, 6);
    record.write(filling.id, HEADER_BYTES + 6, "hex");
  }
  return record;
}
const FILLING_BYTES = 6 + 32;

export interface Redo {
  readonly header: PackedHeader;
  /** What is there is no state: its removal or replacement was begun. */
  readonly dropping: boolean;
  /** How far the replacement came. */
  readonly filling?: Filling;
  readonly entries: readonly RedoEntry[];
}

/** @throws RangeError for what is no record */
export function decodeRedo(record: Buffer): Redo {
  const header = readHeader(record);
  const form = record[1];
  if (header === undefined || (form !== FORM_BATCH && form !== FORM_DROPPING))
    throw new RangeError("no record of a batch");
  if (form === FORM_DROPPING) {
    const filling = record.length === HEADER_BYTES + FILLING_BYTES && {
      id: record.toString("hex", HEADER_BYTES + 6),
      written: record.readUIntLE(HEADER_BYTES, 6),
    };
    return { header, dropping: true, ...(filling && { filling }), entries: [] };
  }
  const entries: RedoEntry[] = [];
  let at = HEADER_BYTES;
  const take = (): Buffer => {
    const length = record.readUInt32LE(at);
    at += 4 + length;
    if (at > record.length) throw new RangeError("the record of a batch is cut off");
    return record.subarray(at - length, at);
  };
  while (at < record.length) entries.push({ key: take().toString(), value: take() });
  return { header, dropping: false, entries };
}
