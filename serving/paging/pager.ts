import { type CursorOwner, readCursor, signCursor } from "./cursor.ts";
import type { RankingStore, StoredRanking } from "./ranking-store.ts";
import { type Page, takePage } from "./take-page.ts";

export type PageAnswer<R extends StoredRanking<unknown>> =
  | {
      readonly expired: false;
      readonly ranking: R;
      readonly page: Page<R["items"][number]>;
      /** For the next page; null = nothing follows. */
      readonly cursor: string | null;
    }
  /** The ranking is gone: make a new one without what its user was served. */
  | { readonly expired: true; readonly rankingId: string; readonly offset: number };

export interface PageRequest<Item> extends CursorOwner {
  readonly cursor: string;
  readonly limit: number;
  readonly keep: (item: Item) => boolean;
  readonly nowMs: number;
}

/** Stores rankings and pages through them by signed cursors. */
export interface Pager<R extends StoredRanking<unknown>> {
  /**
   * Stores a ranking that has more items than the `served` ones of its first page, before that page is answered, and gives
   * the cursor of the second. Does not read `items`, which may be made when first asked for.
   */
  begin(rankingId: string, ranking: R, served: number, owner: CursorOwner, nowMs: number): string;
  /** @throws BAD_REQUEST at /cursor when it was not given out for this user and product */
  next(request: PageRequest<R["items"][number]>): PageAnswer<R>;
}

export function pager<R extends StoredRanking<unknown>>(
  store: RankingStore<R>,
  secret: string,
): Pager<R> {
  return {
    begin(rankingId, ranking, served, owner, nowMs) {
      store.put(rankingId, ranking, nowMs);
      return signCursor({ rankingId, offset: served }, owner, secret);
    },
    next({ cursor, limit, keep, nowMs, userId, product }) {
      const owner = { userId, product };
      const { rankingId, offset } = readCursor(cursor, owner, secret);
      const ranking = store.get(rankingId, nowMs);
      if (ranking === undefined) return { expired: true, rankingId, offset };
      const page = takePage(ranking.items, offset, limit, keep);
      const following =
        page.nextOffset === undefined
          ? null
          : signCursor({ rankingId, offset: page.nextOffset }, owner, secret);
      return { expired: false, ranking, page, cursor: following };
    },
  };
}
