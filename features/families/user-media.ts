import { engagementFamily } from "./engagement.ts";

/** The viewer's taste for the post's kind of media. */
export const userMedia = engagementFamily({
  name: "user_media",
  entity: "user_media",
  signals: [
    "impression",
    "click",
    "favorite",
    "photo_expand",
    "video_view",
    "dwell",
    "long_view",
    "interest",
  ],
  rates: {
    "50d": ["click", "favorite", "photo_expand", "video_view", "dwell", "long_view", "interest"],
  },
  strength: 10,
  state: (context) => context.userMedia,
  perRequest: false,
});
