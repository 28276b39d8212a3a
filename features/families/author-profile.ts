import { DecayedCounters } from "../decayed-counters.ts";
import type { FeatureFamily } from "../family.ts";
import { IMPRESSION } from "../signals.ts";

/** Posts written, counted with the impression signal's slot of a block of their own. */
const posts = new DecayedCounters([IMPRESSION], ["1d", "50d"]);
const POSTS_1D = posts.slot(IMPRESSION, "1d");
const POSTS_50D = posts.slot(IMPRESSION, "50d");
const FOLLOWERS = 0;
const LAST_POST = 1;
const CREATED = 2;
const REPLIES = 3;
const POSTS = 4;
const COUNTERS = 5;
const HOUR = 1 / 3_600_000;
const DAY = 1 / 86_400_000;

/** Who the author is: reach and how often the author posts. */
export const authorProfile: FeatureFamily = {
  name: "author_profile",
  version: 1,
  entity: "author",
  slots: COUNTERS + posts.slots,
  perRequest: false,
  reads: ["author"],
  features: [
    { name: "author.followers", description: "followers" },
    { name: "author.account_age_days", description: "days since the account was created" },
    { name: "author.posts_1d", description: "posts, half-life 1 day" },
    { name: "author.posts_50d", description: "posts, half-life 50 days" },
    { name: "author.hours_since_post", description: "hours since the author's newest post" },
    { name: "author.reply_share", description: "share of the author's posts that are replies" },
  ],
  onEvent: (state, at, event, role) => {
    if (event.type === "user_created") {
      state[at + CREATED] = event.time_ms;
    } else if (event.type === "post_created" && role === "subject") {
      state[at + LAST_POST] = Math.max(state[at + LAST_POST] as number, event.time_ms);
      state[at + POSTS] = (state[at + POSTS] as number) + 1;
      if (event.in_reply_to_post_id !== undefined)
        state[at + REPLIES] = (state[at + REPLIES] as number) + 1;
      posts.add(state, at + COUNTERS, event.time_ms, IMPRESSION, 1, IMPRESSION, 0);
    } else if (event.type === "follow" && role === "object") {
      state[at + FOLLOWERS] = (state[at + FOLLOWERS] as number) + 1;
    } else if (event.type === "unfollow" && role === "object") {
      state[at + FOLLOWERS] = Math.max(0, (state[at + FOLLOWERS] as number) - 1);
    }
  },
  read: (context, at, out, column) => {
    const author = context.author;
    if (author === undefined) {
      out.fill(Number.NaN, column, column + 6);
      return;
    }
    const now = context.nowMs;
    const created = author[at + CREATED] as number;
    const lastPost = author[at + LAST_POST] as number;
    const total = author[at + POSTS] as number;
    const block = at + COUNTERS;
    const recent = posts.decayAt(author, block, now, "1d");
    const long = posts.decayAt(author, block, now, "50d");
    const followers = author[at + FOLLOWERS] as number;
    // An account known by impressions of its posts alone: that nothing was counted says nothing of it.
    const profiled = created > 0;
    const counted = profiled || total > 0;
    let c = column;
    out[c++] = profiled || followers > 0 ? followers : Number.NaN;
    out[c++] = profiled ? Math.max(0, now - created) * DAY : Number.NaN;
    out[c++] = counted ? (author[block + POSTS_1D] as number) * recent : Number.NaN;
    out[c++] = counted ? (author[block + POSTS_50D] as number) * long : Number.NaN;
    out[c++] = lastPost > 0 ? Math.max(0, now - lastPost) * HOUR : Number.NaN;
    out[c++] = total > 0 ? (author[at + REPLIES] as number) / total : Number.NaN;
  },
};
