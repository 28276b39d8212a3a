import type { PostStore } from "../candidates/post-store.ts";
import type { SocialGraph } from "../candidates/social-graph.ts";
import type { RankResponse } from "./http/schemas.ts";
import { postInHand } from "./hydrators/post-core.ts";
import { mayShow } from "./paging/may-show.ts";
import type { StoredRanking } from "./paging/ranking-store.ts";
import { textAt, textColumn } from "./pipeline/candidate-table.ts";
import type { HomeQuery } from "./pipeline/home-query.ts";
import { RequestMemo } from "./pipeline/request-memo.ts";
import type { Answer } from "./pipeline/run-pipeline.ts";
import { BELOW_PAGE } from "./pipeline/run-selection.ts";
import { explainRow } from "./scorers/explain-row.ts";
import { asServed, type ServedItem, servedItems } from "./served-record.ts";
import type { EffectiveWeights } from "./weights/weights.ts";

type Explanation = NonNullable<RankResponse["items"][number]["explain"]>;

/** An item as it is kept for later pages. */
interface KeptItem extends ServedItem {
  readonly explain?: Explanation;
}

/** A ranking that is paged through, with what its later pages answer and log. */
export interface KeptRanking extends StoredRanking<KeptItem> {
  readonly query: HomeQuery;
}

/** As many posts of a ranking can be paged through. */
const MAX_KEPT_ITEMS = 500;
/** Kept explanations of 18 heads take 27 times the memory of the plain items: 1.2 MB a ranking against 45 kB. */
const EXPLAINED_COST = 28;

/** The items of these rows. */
export function keptItems(
  { table, query }: Answer<HomeQuery>,
  rows: ArrayLike<number>,
  explain: boolean,
): KeptItem[] {
  const items = servedItems(table, rows);
  if (!explain) return items;
  return items.map((item, i) => ({
    ...item,
    explain: wireExplanation(table, rows[i] as number, query.weights),
  }));
}

/**
 * The page, and behind it what ranked below and may be shown, one post a conversation: what later pages are made of;
 * undefined where nothing follows the page. Items behind it are made when they are first asked for, which is the work of
 * half a millisecond that no answer needs to wait for.
 */
export function keptRanking(
  state: { readonly posts: PostStore; readonly graph: SocialGraph },
  answer: Answer<HomeQuery>,
  page: readonly KeptItem[],
  explain: boolean,
): KeptRanking | undefined {
  const below = rowsBelow(state, answer);
  const first = below.next();
  if (first.done === true) return undefined;
  const items = madeOnce(pagedItems(answer, page, first.value, below, explain));
  return {
    query: {
      ...asServed(answer.query, answer.table),
      seenIds: new Set(),
      servedIds: new Set(),
      memo: new RequestMemo(),
    },
    cost: explain ? EXPLAINED_COST : 1,
    get items() {
      return items();
    },
  };
}

/** Makes the page's items and those behind it: a closure of its own, so that only it holds the request's candidates. */
function pagedItems(
  answer: Answer<HomeQuery>,
  page: readonly KeptItem[],
  first: number,
  below: Iterator<number>,
  explain: boolean,
): () => readonly KeptItem[] {
  return () => {
    const rows = [first];
    while (page.length + rows.length < MAX_KEPT_ITEMS) {
      const { done, value } = below.next();
      if (done === true) break;
      rows.push(value);
    }
    return [...page, ...keptItems(answer, rows, explain)];
  };
}

/** What ranked below the page and may be shown, best first. */
function* rowsBelow(
  state: { readonly posts: PostStore; readonly graph: SocialGraph },
  { table, order, page, record, query }: Answer<HomeQuery>,
): Generator<number, undefined> {
  const below = record.components.findIndex(({ name }) => name === BELOW_PAGE);
  if (below < 0) return;
  const conversations = textColumn(table, "conversation_id");
  const conversationOf = (row: number): string =>
    textAt(conversations, row) || (table.postIds[row] as string);
  const used = new Set(Array.from(page, conversationOf));
  let shown: ReturnType<typeof mayShow> | undefined;
  for (const row of order) {
    if (record.candidates.droppedBy[table.origin[row] as number] !== below) continue;
    // The stages after selection looked at the page only.
    const post = { postId: table.postIds[row] as string, authorId: table.authorIds[row] as string };
    shown ??= mayShow(state, query.viewerId);
    if (!shown(post, postInHand(table, row))) continue;
    const conversation = conversationOf(row);
    if (query.product === "for_you" && used.has(conversation)) continue;
    used.add(conversation);
    yield row;
  }
}

/** Calls `make` the first time only, and then lets go of what it holds. */
function madeOnce<T>(make: () => T): () => T {
  let pending: (() => T) | undefined = make;
  let made: T | undefined;
  return () => {
    if (pending !== undefined) {
      made = pending();
      pending = undefined;
    }
    return made as T;
  };
}

function wireExplanation(
  table: Answer<HomeQuery>["table"],
  row: number,
  weights: EffectiveWeights,
): Explanation {
  const { heads, base, multipliers } = explainRow(table, row, weights);
  return { heads: [...heads], base, multipliers: [...multipliers] };
}

/** An item as it is answered. */
export function wireItem(item: KeptItem, rank: number): RankResponse["items"][number] {
  return {
    post_id: item.postId,
    author_id: item.authorId,
    rank,
    score: item.score,
    source: item.source,
    in_network: item.inNetwork,
    ...(item.explain === undefined ? {} : { explain: item.explain }),
  };
}
