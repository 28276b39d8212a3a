import {
  DOUBLE,
  DuckDBDataChunk,
  type DuckDBType,
  UINTEGER,
  USMALLINT,
  UTINYINT,
  VARCHAR,
} from "@duckdb/node-api";
import { RoostError } from "../../errors.ts";
import type { Event } from "../events.ts";
import { encodeId } from "./id-codec.ts";
import { EVENT_TYPES, HEAD_NAMES, ID_COLUMNS, PRESENT, TEXT_COLUMNS } from "./segment-layout.ts";

/** Rows of one DuckDB data chunk: the vector size that it is built with. */
export const CHUNK_ROWS = 2048;

const TYPE_CODE: ReadonlyMap<string, number> = new Map(EVENT_TYPES.map((name, i) => [name, i]));
const HEAD_CODE: ReadonlyMap<string, number> = new Map(HEAD_NAMES.map((name, i) => [name, i]));

const LONE_SURROGATE = /\p{Surrogate}/u;

const CHUNK_TYPES: readonly DuckDBType[] = [
  DOUBLE,
  DOUBLE,
  UTINYINT,
  UINTEGER,
  ...ID_COLUMNS.flatMap(() => [UINTEGER, UINTEGER]),
  UTINYINT,
  DOUBLE,
  USMALLINT,
  UINTEGER,
  DOUBLE,
  ...TEXT_COLUMNS.map(() => VARCHAR),
];

/** The columns of up to `CHUNK_ROWS` events. Every cell is set; `present` says which count. */
export class SegmentBuffer {
  rows = 0;
  /** Characters of the texts. */
  characters = 0;
  readonly #seq = new Float64Array(CHUNK_ROWS);
  readonly #timeMs = new Float64Array(CHUNK_ROWS);
  readonly #type = new Uint8Array(CHUNK_ROWS);
  readonly #present = new Uint32Array(CHUNK_ROWS);
  readonly #low = ID_COLUMNS.map(() => new Uint32Array(CHUNK_ROWS));
  readonly #high = ID_COLUMNS.map(() => new Uint32Array(CHUNK_ROWS));
  readonly #head = new Uint8Array(CHUNK_ROWS);
  readonly #value = new Float64Array(CHUNK_ROWS);
  readonly #position = new Uint16Array(CHUNK_ROWS);
  readonly #viewedMs = new Uint32Array(CHUNK_ROWS);
  readonly #propensity = new Float64Array(CHUNK_ROWS);
  readonly #texts = TEXT_COLUMNS.map(() => new Array<string>(CHUNK_ROWS).fill(""));

  /**
   * Adds one event; the caller asks `rows` before whether there is room.
   * @throws BAD_EVENT on an unknown type or head, or an id that is no unsigned 64-bit decimal
   */
  append(seq: number, event: Event): void {
    const row = this.rows;
    const typeCode = TYPE_CODE.get(event.type);
    if (typeCode === undefined)
      throw new RoostError("BAD_EVENT", `type "${String(event.type)}" is not in the event schema`);
    this.#seq[row] = seq;
    this.#timeMs[row] = event.time_ms;
    this.#type[row] = typeCode;
    let present = 0;
    let rest: Record<string, unknown> | undefined;
    const fields = event as unknown as Record<string, unknown>;
    for (const key in fields) {
      const field = fields[key];
      if (field === undefined) continue;
      switch (key) {
        case "type":
        case "time_ms":
        case "seq":
          break;
        case "user_id":
          present |= this.#id(0, row, field as string, PRESENT.user_id);
          break;
        case "post_id":
          present |= this.#id(1, row, field as string, PRESENT.post_id);
          break;
        case "author_id":
          present |= this.#id(2, row, field as string, PRESENT.author_id);
          break;
        case "target_id":
          present |= this.#id(3, row, field as string, PRESENT.target_id);
          break;
        case "head": {
          const code = HEAD_CODE.get(field as string);
          if (code === undefined)
            throw new RoostError("BAD_EVENT", `head "${String(field)}" is not in the head table`);
          this.#head[row] = code;
          present |= PRESENT.head;
          break;
        }
        case "value":
          this.#value[row] = field as number;
          present |= PRESENT.value;
          break;
        case "position":
          this.#position[row] = field as number;
          present |= PRESENT.position;
          break;
        case "viewed_ms":
          this.#viewedMs[row] = field as number;
          present |= PRESENT.viewed_ms;
          break;
        case "propensity":
          this.#propensity[row] = field as number;
          present |= PRESENT.propensity;
          break;
        case "in_network":
          present |= PRESENT.in_network | (field === true ? PRESENT.in_network_true : 0);
          break;
        case "undo":
          present |= PRESENT.undo | (field === true ? PRESENT.undo_true : 0);
          break;
        case "event_id":
        case "request_id":
        case "policy":
        case "surface": {
          const text = field as string;
          // UTF-8 has no lone surrogates; JSON escapes them, so such a text keeps its exact value in `payload`.
          if (!LONE_SURROGATE.test(text) && !text.includes("\0")) {
            (this.#texts[TEXT_COLUMNS.indexOf(key)] as string[])[row] = text;
            this.characters += text.length;
            present |= PRESENT[key];
            break;
          }
          rest ??= {};
          rest[key] = field;
          break;
        }
        default:
          rest ??= {};
          rest[key] = field;
      }
    }
    if (rest !== undefined) {
      const payload = JSON.stringify(rest);
      (this.#texts[4] as string[])[row] = payload;
      this.characters += payload.length;
      present |= PRESENT.payload;
    }
    this.#present[row] = present;
    this.rows = row + 1;
  }

  #id(column: number, row: number, id: string, bit: number): number {
    encodeId(id, this.#low[column] as Uint32Array, this.#high[column] as Uint32Array, row);
    return bit;
  }

  /** The same rows as a DuckDB data chunk in the order of `STAGING_COLUMNS`. */
  toChunk(): DuckDBDataChunk {
    const chunk = DuckDBDataChunk.create(CHUNK_TYPES, this.rows);
    const columns: readonly ArrayLike<number>[] = [
      this.#seq,
      this.#timeMs,
      this.#type,
      this.#present,
      ...ID_COLUMNS.flatMap((_, i) => [this.#low[i] as Uint32Array, this.#high[i] as Uint32Array]),
      this.#head,
      this.#value,
      this.#position,
      this.#viewedMs,
      this.#propensity,
    ];
    for (let c = 0; c < columns.length; c++) {
      const vector = chunk.getColumnVector(c);
      const column = columns[c] as ArrayLike<number>;
      for (let row = 0; row < this.rows; row++) vector.setItem(row, column[row] as number);
      vector.flush();
    }
    for (let t = 0; t < TEXT_COLUMNS.length; t++) {
      const vector = chunk.getColumnVector(columns.length + t);
      const column = this.#texts[t] as string[];
      for (let row = 0; row < this.rows; row++) vector.setItem(row, column[row] as string);
      vector.flush();
    }
    return chunk;
  }
}
