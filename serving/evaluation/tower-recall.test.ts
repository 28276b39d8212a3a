import { expect, test } from "vitest";
import { type Event, EventSchema } from "../../datasets/events.ts";
import { BroadcastState } from "../state/live-state.ts";
import { mostPopularAmong, popularAmong } from "./tower-recall.ts";

const NOON = Date.UTC(2026, 0, 5, 12);

const created = (id: string, language: string, inReplyTo?: string): unknown => ({
  type: "post_created",
  time_ms: NOON - 3_600_000,
  post_id: id,
  author_id: "900",
  text: "",
  language,
  media: "none",
  topics: [],
  safety_labels: [],
  attributes: {},
  ...(inReplyTo === undefined ? {} : { in_reply_to_post_id: inReplyTo }),
});
const favorites = (id: string, n: number): unknown[] =>
  Array.from({ length: n }, () => ({
    type: "engagement",
    time_ms: NOON - 60_000,
    user_id: "7",
    post_id: id,
    author_id: "900",
    head: "favorite",
  }));

test("popularity is what the source brings: in the viewer's languages, replies left out, among what could be retrieved", () => {
  const state = new BroadcastState();
  const events = [
    {
      type: "user_created",
      time_ms: NOON - 7_200_000,
      user_id: "1",
      languages: ["en"],
      attributes: {},
    },
    created("10", "en"),
    created("11", "ja"),
    created("12", "en"),
    created("13", "en", "10"),
    created("14", "en"),
    ...favorites("10", 1),
    ...favorites("11", 9),
    ...favorites("12", 3),
    ...favorites("13", 8),
    ...favorites("14", 5),
  ];
  for (const event of events) state.apply(EventSchema.parse(event) as Event);
  const among = (userId: string): string[] => {
    const ids = ["10", "11", "12", "13"];
    return popularAmong(ids, state, userId, NOON).map((i) => ids[i] as string);
  };
  expect(among("1")).toEqual(["12", "10"]);
  // Nothing is known of this viewer's languages.
  expect(among("2")).toEqual(["11", "12", "10"]);
  // The same for everybody: every language, and replies, which count nothing, behind all others.
  const all = ["13", "10", "11", "12"];
  const most = mostPopularAmong(all, state, NOON).map((i) => all[i] as string);
  expect(most).toEqual(["11", "12", "10", "13"]);
});
