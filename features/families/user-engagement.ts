import { SIGNALS } from "../signals.ts";
import { engagementFamily } from "./engagement.ts";

/** How readily the viewer acts, per head: long-run propensity, today, this session. */
export const userEngagement = engagementFamily({
  name: "user",
  entity: "user",
  signals: SIGNALS,
  rates: {
    "30m": ["click", "favorite", "dwell", "interest"],
    "1d": ["click", "favorite", "dwell", "reply", "repost", "interest"],
    "50d": [
      "click",
      "favorite",
      "reply",
      "repost",
      "quote",
      "profile_click",
      "photo_expand",
      "video_view",
      "share",
      "follow_author",
      "dwell",
      "dwell_seconds",
      "not_interested",
      "negative",
      "long_view",
    ],
  },
  strength: 20,
  state: (context) => context.user,
  perRequest: true,
});
