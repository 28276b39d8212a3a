/**
 * Counts by topic in a stretch of an entity's vector: pairs of (topic hash, count), 0 in place of a hash ends them.
 * When it is full, the rarest topic's place is taken and its count passed on (Space-Saving).
 * Source: Metwally, Agrawal, El Abbadi (2005), "Efficient computation of frequent and top-k elements in data streams".
 */
export function addToTopic(
  vector: Float64Array,
  from: number,
  pairs: number,
  topic: number,
  amount: number,
): void {
  const end = from + 2 * pairs;
  let rarest = from;
  for (let i = from; i < end; i += 2) {
    if (vector[i] === topic || vector[i] === 0) {
      vector[i] = topic;
      vector[i + 1] = (vector[i + 1] as number) + amount;
      return;
    }
    if ((vector[i + 1] as number) < (vector[rarest + 1] as number)) rarest = i;
  }
  vector[rarest] = topic;
  vector[rarest + 1] = (vector[rarest + 1] as number) + amount;
}
