import { engagementFamily } from "./engagement.ts";

const signals = [
  "impression",
  "click",
  "favorite",
  "profile_click",
  "dwell_seconds",
  "long_view",
  "interest",
] as const;

/** What everybody does on the surface that asks (a tab, a page): a click can mean different things on each. */
export const surface = engagementFamily({
  name: "surface",
  entity: "surface",
  signals,
  rates: { "50d": ["click", "favorite", "dwell_seconds", "long_view"] },
  strength: 50,
  state: (context) => context.surfaceState,
  perRequest: true,
});

/** What this viewer does on that surface. */
export const userSurface = engagementFamily({
  name: "user_surface",
  entity: "user_surface",
  signals,
  rates: { "50d": ["click", "favorite", "profile_click", "long_view"] },
  strength: 5,
  state: (context) => context.userSurface,
  perRequest: true,
});
