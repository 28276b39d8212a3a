/** A ranking parameter: a number that experiments and weights files may set. */
export interface Parameter {
  readonly default: number;
  readonly unit: string;
  readonly min: number;
  readonly max: number;
  /** Whole numbers only. */
  readonly integer?: true;
  /** What it does and why its default is what it is. */
  readonly why: string;
}

/**
 * Every ranking parameter. Deployment settings are in `settings.ts`, facts of a model in its `bundle.json`.
 *
 * Source of the 2026 and 2023 figures: x-algorithm, home-mixer/params/param.rs; the-algorithm, home-mixer scored_tweets.
 */
export const PARAMS = {
  in_network_limit: {
    default: 1200,
    unit: "posts",
    min: 0,
    max: 3000,
    integer: true,
    why: "posts from followed authors to consider; 2026 takes 1,200",
  },
  two_tower_limit: {
    default: 500,
    unit: "posts",
    min: 0,
    max: 1500,
    integer: true,
    why: "strangers' posts nearest to the viewer by the towers; recall is judged at 500; 2026 takes up to 1,000; 0 = none",
  },
  popular_limit: {
    default: 500,
    unit: "posts",
    min: 0,
    max: 3000,
    integer: true,
    why: "popular posts to consider: fewer than from retrieval, since they are the same for everybody",
  },
  heavy_limit: {
    default: 500,
    unit: "posts",
    min: 1,
    max: 1500,
    integer: true,
    why: "best by light score that the heavy ranker scores; 2023 scores 500 a source, and 500 rows of .4 M parameters take 6 ms",
  },
  reserve: {
    default: 15,
    unit: "posts",
    min: 0,
    max: 200,
    integer: true,
    why: "rows beyond the page that go through post-selection at once; 2026 selects 50 for a page of 35",
  },
  max_age_hours: {
    default: 48,
    unit: "h",
    min: 1,
    max: 720,
    why: "older posts are not shown; 48 h is also what the in-network store retains",
  },
  served_window_minutes: {
    default: 10,
    unit: "min",
    min: 0,
    max: 1440,
    why: "a post served this recently is not served again; 2026 uses 10 min",
  },
  served_window_posts: {
    default: 100,
    unit: "posts",
    min: 0,
    max: 500,
    integer: true,
    why: "at most this many served posts are held back; 2026 uses 100",
  },
  drop_out_of_network_replies: {
    default: 0,
    unit: "0 or 1",
    min: 0,
    max: 1,
    integer: true,
    why: "1 drops replies and reposts by strangers and replies whose conversation is unknown, as 2026 does; off, since the heavy ranker knows both",
  },
  offset_epsilon: {
    default: 0.001,
    unit: "score",
    min: 0,
    max: 1,
    why: "lifts every score to ≥ 0, net-negative posts under all others, so that multipliers below 1 cannot raise them; 0 = the plain weighted sum",
  },
  mutual_reply_boost: {
    default: 15,
    unit: "weight",
    min: 0,
    max: 1000,
    why: "added to the reply weight of an original post by an author who follows back; 2026 settled on 15 after 5, 10 and 20",
  },
  video_min_ms: {
    default: 10_000,
    unit: "ms",
    min: 0,
    max: 600_000,
    why: "video_view counts for longer videos only, a quality view of a short one being no choice; 0 = every video",
  },
  video_max_viewer_followers: {
    default: 10_000,
    unit: "followers",
    min: 0,
    max: 1e9,
    integer: true,
    why: "video_view counts for viewers with fewer followers only, as 2026 has it; 0 = every viewer",
  },
  good_click_takes_best: {
    default: 0,
    unit: "0 or 1",
    min: 0,
    max: 1,
    integer: true,
    why: "1 scores good_click by the larger of good_click and good_click_v2, a quirk of the 2023 ranker",
  },
  diversity_decay: {
    default: 0.5,
    unit: "factor",
    min: 0,
    max: 1,
    why: "how fast an author's further posts lose score: the k-th has (1 − floor)·decay^k + floor; both years use .5",
  },
  diversity_floor: {
    default: 0.25,
    unit: "factor",
    min: 0,
    max: 1,
    why: "the least that diversity leaves of a score; both years use .25; 1 switches diversity off",
  },
  out_of_network_factor: {
    default: 0.75,
    unit: "factor",
    min: 0,
    max: 1,
    why: "what a stranger's post keeps of its score: a follow is a statement that a model must outbid; 2026 uses .75",
  },
  in_network_reply_repost_factor: {
    default: 0.75,
    unit: "factor",
    min: 0,
    max: 1,
    why: "the same for replies and reposts by followed authors, which mostly concern somebody else; 2026 uses its out-of-network factor; 1 = none",
  },
  reply_factor: {
    default: 1,
    unit: "factor",
    min: 0,
    max: 1,
    why: "what any reply keeps of its score; 2023 uses .75, 2026 has none",
  },
} as const satisfies Record<string, Parameter>;

export type ParamName = keyof typeof PARAMS;
/** A value for every ranking parameter. */
export type Params = { readonly [Name in ParamName]: number };

export const PARAM_BY_NAME: ReadonlyMap<string, Parameter> = new Map(Object.entries(PARAMS));

export const DEFAULT_PARAMS: Params = Object.fromEntries(
  Object.entries(PARAMS).map(([name, parameter]) => [name, parameter.default]),
) as Params;

/** A wrong field, by JSON pointer into what was given. */
export interface Problem {
  readonly pointer: string;
  readonly detail: string;
}

/** Everything that is wrong with these overrides; empty when they can be used. */
export function paramProblems(overrides: Readonly<Record<string, unknown>>, at = ""): Problem[] {
  const problems: Problem[] = [];
  for (const [name, value] of Object.entries(overrides)) {
    const pointer = `${at}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    const parameter = PARAM_BY_NAME.get(name);
    if (parameter === undefined) {
      problems.push({ pointer, detail: "is no ranking parameter; serving/params.ts lists them" });
    } else if (typeof value !== "number" || !Number.isFinite(value)) {
      problems.push({ pointer, detail: "must be a finite number" });
    } else if (value < parameter.min || value > parameter.max) {
      problems.push({ pointer, detail: `must be in ${parameter.min}–${parameter.max}` });
    } else if (parameter.integer && !Number.isInteger(value)) {
      problems.push({ pointer, detail: "must be a whole number" });
    }
  }
  return problems;
}
