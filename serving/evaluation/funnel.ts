import type { BootstrapOptions, Interval } from "../../experiments/metrics/bootstrap.ts";
import { gainRatio, gainShares, type RequestValues } from "./gain-share.ts";
import type { walkHeldOut } from "./held-out.ts";
import { funnelRecall } from "./light-recall.ts";
import type { RankArms } from "./rank-arms.ts";
import { NDCG_DEPTHS, ndcgIntervals, type RequestNdcg } from "./slate-ndcg.ts";

/** One request in so many is also judged against all eligible posts, which takes as long as all others together. */
const WHOLE_EVERY = 4;
export interface FunnelReport {
  readonly requests: number;
  readonly candidates_per_request: number;
  readonly in_network_per_request: number;
  /** Of the merged candidates, those of the two-tower source; 0 without towers. */
  readonly retrieved_per_request: number;
  readonly gain_share: Readonly<Record<string, Interval>>;
  readonly full_of_visible_ceiling: Interval;
  /** How much of the heavy ranker's best the light one keeps where it cuts; null where it cut nowhere. */
  readonly light_keeps: { readonly requests: number; readonly recall: Interval } | null;
  /** Gain shares when every eligible post could be shown, not the merged ones only. */
  readonly over_all_eligible: {
    readonly requests: number;
    readonly gain_share: Readonly<Record<string, Interval>>;
    readonly full_of_visible_ceiling: Interval;
  } | null;
  /** Ranker → `ndcg@10`, `ndcg@50` of its order by the world's true net value. */
  readonly ndcg: Readonly<Record<string, Readonly<Record<string, Interval>>>>;
}

/** Judges the first impression of each user in the range as a request, until there are enough. */
export function collectRequests(arms: RankArms | undefined, wanted: number) {
  const judged = new Set<string>();
  const requests: (RequestValues & RequestNdcg)[] = [];
  const everywhere: RequestValues[] = [];
  const kept: number[] = [];
  let candidates = 0;
  let inNetwork = 0;
  let retrieved = 0;
  const onImpression: Parameters<typeof walkHeldOut>[4] = (event, moment) => {
    if (arms === undefined || requests.length >= wanted || judged.has(event.user_id))
      return undefined;
    judged.add(event.user_id);
    const whole = judged.size % WHOLE_EVERY === 1;
    return arms.judge(event.user_id, event.time_ms, moment, whole).then((request) => {
      if (request === undefined) return;
      if (request.kept !== undefined) kept.push(request.kept);
      if (request.everywhere !== undefined)
        everywhere.push({ user: everywhere.length, values: request.everywhere });
      candidates += request.candidates;
      inNetwork += request.inNetwork;
      retrieved += request.retrieved;
      requests.push({ user: requests.length, values: request.values, ndcg: request.ndcg });
    });
  };
  const report = (options: BootstrapOptions): FunnelReport | null =>
    requests.length === 0
      ? null
      : {
          requests: requests.length,
          candidates_per_request: candidates / requests.length,
          in_network_per_request: inNetwork / requests.length,
          retrieved_per_request: retrieved / requests.length,
          gain_share: Object.fromEntries(gainShares(requests, options)),
          full_of_visible_ceiling: gainRatio(requests, "full", "visible", options),
          light_keeps: lightKeeps(kept, options),
          over_all_eligible:
            everywhere.length === 0
              ? null
              : {
                  requests: everywhere.length,
                  gain_share: Object.fromEntries(gainShares(everywhere, options)),
                  full_of_visible_ceiling: gainRatio(everywhere, "full", "visible", options),
                },
          ndcg: Object.fromEntries(
            Array.from(ndcgIntervals(requests, options), ([ranker, intervals]) => [
              ranker,
              Object.fromEntries(NDCG_DEPTHS.map((k, i) => [`ndcg@${k}`, intervals[i]])),
            ]),
          ) as FunnelReport["ndcg"],
        };
  return { onImpression, report };
}

function lightKeeps(
  shares: readonly number[],
  options: BootstrapOptions,
): FunnelReport["light_keeps"] {
  const recall = funnelRecall(shares, options);
  return recall && { requests: shares.length, recall };
}
