import type { PostStore } from "../candidates/post-store.ts";
import type { SocialGraph } from "../candidates/social-graph.ts";
import type { RankResponse } from "./http/schemas.ts";
import { postInHand } from "./hydrators/post-core.ts";
import { mayShow } from "./paging/may-show.ts";
import { MAX_STORED_ITEMS, type StoredRanking } from "./paging/ranking-store.ts";
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

/** Kept explanations of 18 heads take 27 times the memory of the plain items: 1.2 MB a ranking against 45 kB. */
const EXPLAINED_COST = 28;

/** The page, and behind it what ranked below and may be shown, one post a conversation: what later pages are made of. */
export function keepRanking(
  state: { readonly posts: PostStore; readonly graph: SocialGraph },
  { table, order, page, record, query }: Answer<HomeQuery>,
  explain: boolean,
): { ranking: KeptRanking; page: number } {
  const below = record.components.findIndex(({ name }) => name === BELOW_PAGE);
  const conversations = textColumn(table, "conversation_id");
  const used = new Set(Array.from(page, (row) => conversationOf(row)));
  const rows = [...page];
  let shown: ReturnType<typeof mayShow> | undefined;
  for (const row of order) {
    if (rows.length >= MAX_STORED_ITEMS) break;
    if (record.candidates.droppedBy[table.origin[row] as number] !== below) continue;
    // The stages after selection looked at the page only.
    const post = { postId: table.postIds[row] as string, authorId: table.authorIds[row] as string };
    shown ??= mayShow(state, query.viewerId);
    if (!shown(post, postInHand(table, row))) continue;
    const conversation = conversationOf(row);
    if (query.product === "for_you" && used.has(conversation)) continue;
    used.add(conversation);
    rows.push(row);
  }
  const items: KeptItem[] = servedItems(table, rows);
  return {
    page: page.length,
    ranking: {
      query: {
        ...asServed(query, table),
        seenIds: new Set(),
        servedIds: new Set(),
        memo: new RequestMemo(),
      },
      cost: explain ? EXPLAINED_COST : 1,
      items: explain
        ? items.map((item, i) => ({
            ...item,
            explain: wireExplanation(table, rows[i] as number, query.weights),
          }))
        : items,
    },
  };

  function conversationOf(row: number): string {
    return textAt(conversations, row) || (table.postIds[row] as string);
  }
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
