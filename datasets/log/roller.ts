import { RoostError } from "../../errors.ts";
import type { EventLog } from "./event-log.ts";
import { listSegments, type SegmentInfo } from "./segment-files.ts";
import { SegmentWriter } from "./segments.ts";

export interface RollerOptions {
  readonly log: EventLog;
  /** Where the segments go. */
  readonly dir: string;
  /** A segment is written when this many events wait. Default 2^18: 10–30 MB of Parquet. */
  readonly rowsPerSegment?: number;
  /** Waiting events are written after this time even if they are few. Default 1 h: at most 24 small files a day. */
  readonly maxAgeMs?: number;
}

// Read from the log at a time: bounds memory, and keeps each synchronous LMDB scan under a few milliseconds.
const READ_ROWS = 4096;

/**
 * Moves a log's events into segments and then trims them from the log. Its position is what the segments hold, so a
 * crash at any point loses and doubles nothing: a half-written file is swept, and events that are already in a
 * segment but still in the log are trimmed by the next roll.
 */
export class SegmentRoller {
  readonly #log: EventLog;
  readonly #dir: string;
  readonly #rowsPerSegment: number;
  readonly #maxAgeMs: number;
  /** When the roller first saw an event waiting; undefined while none waits. */
  #waitingSinceMs: number | undefined;
  #rolling: Promise<unknown> = Promise.resolve();

  constructor({ log, dir, rowsPerSegment = 1 << 18, maxAgeMs = 3_600_000 }: RollerOptions) {
    this.#log = log;
    this.#dir = dir;
    this.#rowsPerSegment = rowsPerSegment;
    this.#maxAgeMs = maxAgeMs;
  }

  /**
   * Writes every full segment, and what is left if it has waited `maxAgeMs` or `all` is set. Calls run one after
   * the other. Returns the new segments.
   * @throws BAD_SEGMENT when the segments end before the log begins
   */
  roll(nowMs: number, options: { all?: boolean } = {}): Promise<SegmentInfo[]> {
    const roll = this.#rolling.then(() => this.#roll(nowMs, options.all ?? false));
    this.#rolling = roll.catch(() => {});
    return roll;
  }

  async #roll(nowMs: number, all: boolean): Promise<SegmentInfo[]> {
    const rolled = listSegments(this.#dir).at(-1)?.last_seq ?? this.#log.firstSeq() - 1;
    if (this.#log.firstSeq() > rolled + 1)
      throw new RoostError(
        "BAD_SEGMENT",
        `${this.#dir} ends at seq ${rolled}, but the log begins at ${this.#log.firstSeq()}`,
      );
    if (this.#log.firstSeq() <= rolled) await this.#log.trim(rolled);

    const waiting = this.#log.lastSeq() - rolled;
    if (waiting > 0) this.#waitingSinceMs ??= nowMs;
    const old =
      this.#waitingSinceMs !== undefined && nowMs - this.#waitingSinceMs >= this.#maxAgeMs;
    const rows = all || old ? waiting : waiting - (waiting % this.#rowsPerSegment);
    if (rows <= 0) return [];

    const segments = await this.#write(rolled + 1, rolled + rows);
    await this.#log.trim(rolled + rows);
    this.#waitingSinceMs = undefined;
    return segments;
  }

  async #write(fromSeq: number, toSeq: number): Promise<SegmentInfo[]> {
    const writer = new SegmentWriter(this.#dir, {
      rowsPerSegment: this.#rowsPerSegment,
      firstSeq: fromSeq,
    });
    try {
      for (let seq = fromSeq; seq <= toSeq; seq = writer.nextSeq) {
        const limit = Math.min(READ_ROWS, toSeq - seq + 1);
        const events = await this.#log.read({ fromSeq: seq, limit });
        if (events.length !== limit || events[0]?.seq !== seq)
          throw new RoostError("BAD_STORE", `the log has a gap after seq ${seq}`);
        await writer.appendAll(events);
      }
    } catch (error) {
      await writer.close().catch(() => {});
      throw error;
    }
    return writer.close();
  }
}
