import { SIGNALS } from "../signals.ts";
import { engagementFamily } from "./engagement.ts";

/** What the post itself has received so far. */
export const postEngagement = engagementFamily({
  name: "post",
  entity: "post",
  signals: SIGNALS,
  rates: {
    "30m": ["click", "favorite", "interest"],
    "1d": ["click", "favorite", "dwell", "interest"],
    "50d": [
      "click",
      "favorite",
      "reply",
      "repost",
      "profile_click",
      "photo_expand",
      "video_view",
      "share",
      "dwell",
      "dwell_seconds",
      "not_interested",
      "long_view",
      "interest",
    ],
  },
  strength: 15,
  state: (context) => context.post,
  perRequest: false,
});
