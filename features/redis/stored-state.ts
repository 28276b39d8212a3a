import type { RedisConnection } from "../../datasets/storage/redis.ts";
import { RoostError } from "../../errors.ts";
import type { FeatureKeys } from "./feature-keys.ts";
import { decodeRedo } from "./redo-record.ts";

/** What is told of a layout's state without taking it over. */
export interface StoredState {
  /** Its last owner's token; 0 when nobody has ever written it. */
  readonly token: number;
  /** The last record that it reflects; 0 when there is none, or only a part of one. */
  readonly position: number;
}

/** @throws REDIS_UNAVAILABLE */
export async function storedState(
  { client }: RedisConnection,
  { redo }: FeatureKeys,
): Promise<StoredState> {
  const record = await client.getBuffer(redo).catch((error: Error) => {
    throw new RoostError("REDIS_UNAVAILABLE", `feature state: ${error.message}`, error);
  });
  if (record === null) return { token: 0, position: 0 };
  const { header, dropping } = decodeRedo(record);
  return { token: header.token, position: dropping ? 0 : header.position };
}
