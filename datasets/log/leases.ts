import { RoostError } from "../../errors.ts";

/** What a winner of a lease holds. */
export interface Grant {
  /** Grows with every grant of the same lease, for ever: what carries an older one comes from an owner that was replaced. */
  readonly token: number;
}

/** Whose grant has not ended. */
export interface Holder {
  readonly owner: string;
  /** What is left of it; grows when it is renewed. */
  readonly endsInMs: number;
}

/**
 * Leases on the partitions of consumers whose shared state has one writer, with the positions that those have committed.
 * All times are the store's own: a grant ends `ttlMs` after it was given or last renewed.
 */
export interface Leases {
  /** Tells who asks from every other that there ever was. */
  readonly owner: string;
  readonly ttlMs: number;
  /**
   * Undefined while somebody's grant has not ended.
   * @param above a token that the grant's is to be greater than, where the guarded state tells of one that is not known here
   * @throws NOT_REPLICATED when a grant could be given and a fail-over take it back: nobody has it then
   */
  acquire(consumer: string, partition: number, above?: number): Promise<Grant | undefined>;
  /** Undefined while nobody's grant lasts. */
  holder(consumer: string, partition: number): Promise<Holder | undefined>;
  /** Begins the time anew; false when the grant has ended, even if nobody else has the lease by now. */
  renew(consumer: string, partition: number, token: number): Promise<boolean>;
  /** Ends the grant, if it has not ended. */
  release(consumer: string, partition: number, token: number): Promise<void>;
  /**
   * Notes that the consumer's state holds everything up to `seq`. Also after the grant's end, while nobody has acquired the
   * lease since: no other writer can have come between.
   * @throws FENCED when a newer token was given
   */
  commitPosition(consumer: string, partition: number, seq: number, token: number): Promise<void>;
  /** Last committed seq; 0 before the first. */
  position(consumer: string, partition: number): Promise<number>;
}

/** The refusal of a token that is not the newest. */
export const fenced = (
  consumer: string,
  partition: number,
  token: number,
  newest: number,
): RoostError =>
  new RoostError(
    "FENCED",
    `${consumer}, partition ${partition}: token ${token}, but ${newest} was given since`,
  );
