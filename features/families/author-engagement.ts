import { SIGNALS } from "../signals.ts";
import { engagementFamily } from "./engagement.ts";

/** What the author's posts receive. */
export const authorEngagement = engagementFamily({
  name: "author",
  entity: "author",
  signals: SIGNALS,
  rates: {
    "30m": ["favorite", "interest"],
    "1d": ["click", "favorite", "dwell", "interest"],
    "50d": [
      "click",
      "favorite",
      "reply",
      "repost",
      "profile_click",
      "share",
      "follow_author",
      "dwell",
      "dwell_seconds",
      "not_interested",
      "negative",
      "reply_engaged_by_author",
      "long_view",
      "interest",
    ],
  },
  strength: 30,
  state: (context) => context.author,
  perRequest: false,
});
