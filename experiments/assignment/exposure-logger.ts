import type { EventOf } from "../../datasets/events.ts";
import { RoostError } from "../../errors.ts";
import type { Assignment } from "./assign.ts";

/** Takes an event durably; a rejection means that it was not taken. */
export type ExposureSink = (event: EventOf<"exposure">) => Promise<void>;

export interface ExposureOptions {
  /** Remembered exposures; 100,000 take about 23 MB. The least recently seen are forgotten first and may be logged again. */
  readonly maxKeys?: number;
  /** After this an exposure is logged again: once a day, so that every day of an analysis knows its active units. */
  readonly ttlMs?: number;
}

/** What one request shows to one user. */
export interface Exposure {
  readonly userId: string;
  readonly requestId?: string;
  /** Epoch milliseconds. */
  readonly nowMs: number;
  readonly assignments: readonly Assignment[];
}

export interface ExposureCounts {
  readonly logged: number;
  /** Logged before, or on its way from a concurrent request. */
  readonly repeated: number;
  /** Refused by the sink: tried again at the unit's next request. */
  readonly failed: number;
}

/** Writes each exposure once per unit and arm. */
export interface ExposureLogger {
  /** Never rejects because of the sink: its failures are counted, and `onError` is told. */
  log(exposure: Exposure): Promise<ExposureCounts>;
  /** Remembered exposures. */
  size(): number;
}

const DAY_MS = 86_400_000;

/**
 * A logger that remembers in bounded memory what it has written. Forced and excluded units are never logged. A key counts
 * as written only after the sink took the event, and all are forgotten when the configuration changes.
 * @throws BAD_ARGUMENT when `maxKeys` or `ttlMs` is not positive
 */
export function exposureLogger(
  sink: ExposureSink,
  { maxKeys = 100_000, ttlMs = DAY_MS }: ExposureOptions = {},
  onError: (error: unknown) => void = () => {},
): ExposureLogger {
  if (!(maxKeys >= 1)) throw new RoostError("BAD_ARGUMENT", `maxKeys is ${maxKeys}, must be ≥ 1`);
  if (!(ttlMs > 0)) throw new RoostError("BAD_ARGUMENT", `ttlMs is ${ttlMs}, must be above 0`);
  // Key → when it may be logged again. A Map iterates in order of insertion: re-inserting makes an entry the newest.
  const written = new Map<string, number>();
  const underway = new Set<string>();
  let version: string | undefined;

  const isKnown = (key: string, nowMs: number): boolean => {
    const again = written.get(key);
    if (again === undefined) return false;
    written.delete(key);
    if (nowMs >= again) return false;
    written.set(key, again);
    return true;
  };
  const remember = (key: string, nowMs: number): void => {
    written.set(key, nowMs + ttlMs);
    if (written.size > maxKeys) written.delete(written.keys().next().value as string);
  };

  return {
    async log({ userId, requestId, nowMs, assignments }) {
      const counts = { logged: 0, repeated: 0, failed: 0 };
      const sends: Promise<void>[] = [];
      for (const assignment of assignments) {
        if (!assignment.inExperiment || !assignment.hashUsed) continue;
        const sentFor = assignment.configVersion;
        if (sentFor !== version) {
          written.clear();
          version = sentFor;
        }
        const key = exposureKey(assignment);
        if (underway.has(key) || isKnown(key, nowMs)) {
          counts.repeated++;
          continue;
        }
        underway.add(key);
        const send = async (): Promise<void> => {
          try {
            await sink(exposureEvent(assignment, userId, requestId, nowMs));
            counts.logged++;
            // A configuration that changed meanwhile starts with nothing written.
            if (sentFor === version) remember(key, nowMs);
          } catch (error) {
            counts.failed++;
            onError(error);
          } finally {
            underway.delete(key);
          }
        };
        sends.push(send());
      }
      await Promise.all(sends);
      return counts;
    },
    size: () => written.size,
  };
}

/** Once per unit and arm; the version keeps arms of different configurations apart while events are underway. */
function exposureKey(assignment: Assignment): string {
  const { configVersion, hashAttribute, hashValue, key, variation } = assignment;
  return JSON.stringify([configVersion, hashAttribute, hashValue, key, variation]);
}

function exposureEvent(
  assignment: Assignment,
  userId: string,
  requestId: string | undefined,
  nowMs: number,
): EventOf<"exposure"> {
  return {
    type: "exposure",
    time_ms: nowMs,
    user_id: userId,
    experiment: assignment.key,
    variation: assignment.variation,
    variation_key: assignment.variationKey,
    hash_attribute: assignment.hashAttribute,
    hash_value: assignment.hashValue,
    bucket: assignment.bucket as number,
    reason: assignment.reason,
    propensity: assignment.propensity as number,
    config_version: assignment.configVersion,
    ...(assignment.layer !== undefined && { layer: assignment.layer }),
    ...(requestId !== undefined && { request_id: requestId }),
  };
}
