import { checkAfterCrash } from "./crash-check.ts";
import type { KeptOrder, SpoolDrill } from "./spool-drill.ts";

/** What a space holds when all that was aside has gone on. */
export interface SpoolFindings {
  readonly records: number;
  /** Acknowledged event ids that the log does not have. */
  readonly lost: readonly string[];
  /** Event ids that the log has more than once. */
  readonly doubled: readonly string[];
  /** Event ids that the log has before one that it must have first: of the spool, or of the same writer. */
  readonly misplaced: readonly string[];
  /** Derived states that differ from a clean replay of the log. */
  readonly differing: readonly string[];
}

/** Looks at a space in which no server runs and nothing is aside. */
export async function checkSpooled(
  dataDir: string,
  { load, kept }: Pick<SpoolDrill, "load" | "kept">,
  redisUrl: string,
): Promise<SpoolFindings> {
  const found = await checkAfterCrash(dataDir, load.acknowledged, redisUrl);
  const orders = [...kept, ...load.orders().map((ids) => ({ ids, except: new Set<string>() }))];
  const { records, lost, doubled, differing } = found;
  const misplaced = orders.flatMap((order) => misplacedIn(found.seqs, order));
  return { records, lost, doubled, misplaced: [...new Set(misplaced)], differing };
}

/** Ids that the log has before one which the order has before them. */
export function misplacedIn(
  seqs: ReadonlyMap<string, number>,
  { ids, except }: KeptOrder,
): string[] {
  let last = 0;
  return ids.filter((id) => {
    const seq = seqs.get(id);
    if (seq === undefined || except.has(id)) return false;
    const before = seq < last;
    last = Math.max(last, seq);
    return before;
  });
}
