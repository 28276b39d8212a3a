/** One page of a stored ranking. */
export interface Page<Item> {
  /** With each item's rank in the whole ranking, from 1: a dropped item leaves a gap, so later pages do not shift. */
  readonly items: readonly { readonly item: Item; readonly rank: number }[];
  /** What the checks of this page dropped. */
  readonly dropped: readonly { readonly item: Item; readonly rank: number }[];
  /** Where the next page begins; undefined when nothing is left that passes now. */
  readonly nextOffset: number | undefined;
}

/**
 * The page of `limit` items from `offset` on, refilled past what `keep` drops: blocks, deletes and visibility are
 * asked anew on every page. Equal arguments give the equal page.
 */
export function takePage<Item>(
  ranking: readonly Item[],
  offset: number,
  limit: number,
  keep: (item: Item) => boolean,
): Page<Item> {
  const items: { item: Item; rank: number }[] = [];
  const dropped: { item: Item; rank: number }[] = [];
  let at = offset;
  for (; at < ranking.length && items.length < limit; at++) {
    const entry = { item: ranking[at] as Item, rank: at + 1 };
    (keep(entry.item) ? items : dropped).push(entry);
  }
  // A cursor to a page that would be empty sends the client round for nothing.
  let next = at;
  while (next < ranking.length && !keep(ranking[next] as Item)) next++;
  return { items, dropped, nextOffset: next < ranking.length ? next : undefined };
}
