import { z } from "zod";
import { RoostError } from "../../errors.ts";

/** First millisecond of the world's day 0: 2026-01-05T00:00:00Z, a Monday. */
export const WORLD_START_MS = Date.UTC(2026, 0, 5);
export const DAY_MS = 86_400_000;
export const HOUR_MS = 3_600_000;

/** The size of a world. What people are like and how they act is not a setting: it is the same in every world. */
export const WorldSettings = z.strictObject({
  /** Everyone who exists at the end, newcomers included. */
  users: z.int().min(60).max(1_000_000),
  /** How many of them post. The rest read. */
  authors: z.int().min(20),
  posts: z.int().min(200).max(4_000_000),
  /** Length of the log in days; the last one is held out. */
  days: z.int().min(2).max(60),
  /** Mean pages of a person of median activity on a day with a visit. */
  pagesPerDay: z.number().positive().max(100),
  /** A person leaves for the day after this many pages. */
  maxPagesPerDay: z.int().min(1).max(1000),
  /** Tail index of the pull that authors draw follows with; saturation makes follower counts fall somewhat faster than 1 + this. */
  popularityTail: z.number().min(0.5).max(2),
});
export type WorldSettings = z.infer<typeof WorldSettings>;

/**
 * `tiny` for tests, `demo` for the first start, `bench` for quality figures, `wide` for retrieval among more than 50,000
 * posts, `large` for throughput.
 */
export const PRESETS = {
  tiny: {
    users: 300,
    authors: 60,
    posts: 1_800,
    days: 3,
    pagesPerDay: 0.4,
    maxPagesPerDay: 8,
    popularityTail: 0.85,
  },
  demo: {
    users: 5_000,
    authors: 600,
    posts: 50_000,
    days: 4,
    pagesPerDay: 0.9,
    maxPagesPerDay: 30,
    popularityTail: 0.85,
  },
  bench: {
    users: 5_000,
    authors: 600,
    posts: 50_000,
    days: 4,
    pagesPerDay: 3.8,
    maxPagesPerDay: 40,
    popularityTail: 0.85,
  },
  wide: {
    users: 12_500,
    authors: 1_500,
    posts: 130_000,
    days: 4,
    pagesPerDay: 1.8,
    maxPagesPerDay: 40,
    popularityTail: 0.85,
  },
  large: {
    users: 40_000,
    authors: 5_000,
    posts: 1_000_000,
    days: 5,
    pagesPerDay: 0.9,
    maxPagesPerDay: 30,
    popularityTail: 0.75,
  },
} as const satisfies Record<string, WorldSettings>;
export type PresetName = keyof typeof PRESETS;

/**
 * The settings behind a preset's name, or the given ones, checked.
 * @throws BAD_ARGUMENT naming the unknown preset or every wrong field.
 */
export function resolveSettings(preset: string | WorldSettings): WorldSettings {
  if (typeof preset === "string") {
    if (!Object.hasOwn(PRESETS, preset)) {
      const names = Object.keys(PRESETS).join(", ");
      throw new RoostError("BAD_ARGUMENT", `preset "${preset}" is not one of ${names}`);
    }
    return PRESETS[preset as PresetName];
  }
  const parsed = WorldSettings.safeParse(preset);
  if (!parsed.success) {
    const fields = parsed.error.issues.map((i) => `${i.path.join(".")}: ${i.message}`).join("; ");
    throw new RoostError("BAD_ARGUMENT", `world settings: ${fields}`);
  }
  if (parsed.data.authors >= parsed.data.users / 2) {
    throw new RoostError(
      "BAD_ARGUMENT",
      "world settings: authors must be fewer than half of users",
    );
  }
  return parsed.data;
}
