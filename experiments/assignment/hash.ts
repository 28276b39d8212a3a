const OFFSET = 0x811c9dc5;
const PRIME = 0x01000193;

/** FNV-1a over the UTF-16 code units of `text`, continuing from `state`; an unsigned 32-bit number. */
export function fnv1a32(text: string, state = OFFSET): number {
  let hash = state;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), PRIME);
  return hash >>> 0;
}

/**
 * The bucket of `value` under `seed`, in [0, 1). Version 2 (steps of 1/10,000) hashes twice, so that different seeds split
 * units independently; version 1 (steps of 1/1,000) does not, and is there to read foreign configurations only.
 * Null for any other version: such an experiment includes nobody.
 *
 * Text is UTF-16 code units, as in GrowthBook's JavaScript; its other SDKs hash ids beyond ASCII differently.
 * Source: GrowthBook SDK specification, "hash".
 */
export function bucket(seed: string, value: string, version: number): number | null {
  if (version === 2) {
    const inner = fnv1a32(value, fnv1a32(seed));
    return (fnv1a32(String(inner)) % 10_000) / 10_000;
  }
  if (version === 1) return (fnv1a32(seed, fnv1a32(value)) % 1000) / 1000;
  return null;
}
