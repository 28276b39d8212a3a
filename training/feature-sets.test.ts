import { expect, test } from "vitest";
import { FEATURE_NAMES } from "../features/registry.ts";
import { heavyFeatures, LIGHT_FEATURES, PAST_RATE_FEATURES } from "./feature-sets.ts";

const running = heavyFeatures("running");
const daily = heavyFeatures("daily");

test("every feature is in one of the two kinds of heavy ranker, and all of a set are in the registry", () => {
  expect(new Set([...running, ...daily])).toEqual(new Set(FEATURE_NAMES));
  for (const name of [...LIGHT_FEATURES, ...PAST_RATE_FEATURES])
    expect(FEATURE_NAMES).toContain(name);
});

test("with daily rates nothing is read that the viewer's last action moved, but what posts and authors received is", () => {
  const moved = ["user.click_rate_50d", "user.click_rate_30m", "user_surface.long_view_rate_50d"];
  moved.push(
    "user_media.impressions_50d",
    "user_author.interest_1d",
    "user_topic.best_interest_50d",
  );
  moved.push("affinity.engaged_topics", "affinity.author_likeness");
  for (const name of moved) {
    expect(running).toContain(name);
    expect(daily).not.toContain(name);
  }
  const kept = ["post.click_rate_30m", "author.click_rate_1d", "surface.click_rate_50d"];
  kept.push("user_author.follows", "user_elsewhere.long_view_rate_50d", "affinity.followed_topics");
  for (const name of kept) expect(daily).toContain(name);
});

test("daily rates are read only where they stand in for the running ones", () => {
  expect(running.filter((name) => name.includes("_daily."))).toEqual([]);
  expect(daily.filter((name) => name.includes("_daily.")).length).toBeGreaterThan(10);
});
