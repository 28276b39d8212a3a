import type { FeatureFamily } from "../family.ts";
import { languageMatch } from "./user-profile.ts";

/** Facts that compare the viewer with the post itself. */
export const userPost: FeatureFamily = {
  name: "user_post",
  version: 1,
  slots: 0,
  perRequest: false,
  reads: ["user", "post"],
  features: [
    {
      name: "user_post.language_match",
      description: "1 when the post's language is one of the viewer's",
    },
  ],
  read: (context, _at, out, column) => {
    out[column] = languageMatch(context);
  },
};
