import { createHash } from "node:crypto";
import { RoostError } from "../../errors.ts";
import type { BundleManifest } from "../../features/bundle.ts";
import type { TrainingRows } from "../../features/rows.ts";

/**
 * What a bundle says of the rows that its metrics were measured on. Times, viewers, posts and labels make the checksum, so
 * two bundles with equal ones were measured on the same impressions, whatever features they read.
 * @throws BAD_DATASET when there are no rows
 */
export function measuredRows(rows: TrainingRows): NonNullable<BundleManifest["validation"]> {
  if (rows.n === 0) throw new RoostError("BAD_DATASET", "there are no rows to measure on");
  const heads = rows.headNames.length;
  const positives: Record<string, number> = {};
  rows.headNames.forEach((name, h) => {
    let count = 0;
    for (let at = h; at < rows.n * heads; at += heads) if ((rows.labels[at] as number) > 0) count++;
    positives[name] = count;
  });
  const hash = createHash("sha256").update(rows.headNames.join());
  for (const column of [rows.timeMs, rows.labels])
    hash.update(new Uint8Array(column.buffer, column.byteOffset, column.byteLength));
  hash.update(rows.userIds.slice(0, rows.n).join()).update(rows.postIds.slice(0, rows.n).join());
  return {
    from_ms: rows.timeMs[0] as number,
    to_ms: rows.timeMs[rows.n - 1] as number,
    rows: rows.n,
    positives,
    checksum: hash.digest("hex").slice(0, 16),
  };
}
