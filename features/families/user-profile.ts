import type { FeatureFamily, RowContext } from "../family.ts";
import { IMPRESSION } from "../signals.ts";
import { languageCode, POST } from "./post-content.ts";

/** Languages kept of a profile. */
export const LANGUAGES = 3;
/** Profile columns that importers bring, by attribute name. */
const ATTRIBUTES = [
  "follow_user_num",
  "fans_user_num",
  "friend_user_num",
  "register_days",
  "history_impressions",
] as const;

/** Slots of the viewer's profile. First family of `user`, so at offset 0. */
export const USER = {
  created: 0,
  languages: 1,
  following: 1 + LANGUAGES,
  lastSeen: 2 + LANGUAGES,
  sessionStart: 3 + LANGUAGES,
  sessionCount: 4 + LANGUAGES,
  sessions: 5 + LANGUAGES,
  utcOffsetMinutes: 6 + LANGUAGES,
  attributes: 7 + LANGUAGES,
} as const;
const SLOTS = USER.attributes + ATTRIBUTES.length;

/** A pause this long begins a new session: the usual 30 minutes of web analytics. */
const SESSION_GAP_MS = 1_800_000;
const HOUR = 1 / 3_600_000;
const DAY = 1 / 86_400_000;

/** Who the viewer is and how far into a session. */
export const userProfile: FeatureFamily = {
  name: "user_profile",
  version: 1,
  entity: "user",
  slots: SLOTS,
  perRequest: true,
  reads: ["user"],
  features: [
    { name: "user.account_age_days", description: "days since the account was created" },
    { name: "user.following", description: "accounts followed" },
    { name: "user.languages", description: "languages in the profile" },
    { name: "user.session_impressions", description: "posts seen in the running session" },
    { name: "user.session_minutes", description: "minutes since the session began" },
    { name: "user.hours_since_seen", description: "hours since the last impression" },
    { name: "user.sessions", description: "sessions so far" },
    ...ATTRIBUTES.map((name) => ({ name: `user.${name}`, description: `profile column ${name}` })),
  ],
  onEvent: (state, at, event, role) => {
    if (event.type === "user_created") {
      state[at + USER.created] = event.time_ms;
      state[at + USER.utcOffsetMinutes] = event.utc_offset_minutes ?? 0;
      for (let i = 0; i < LANGUAGES; i++) {
        const language = event.languages[i];
        state[at + USER.languages + i] = language === undefined ? 0 : languageCode(language);
      }
      ATTRIBUTES.forEach((name, i) => {
        state[at + USER.attributes + i] = event.attributes[name] ?? Number.NaN;
      });
    } else if (role === "subject" && event.type === "follow") {
      state[at + USER.following] = (state[at + USER.following] as number) + 1;
    } else if (role === "subject" && event.type === "unfollow") {
      state[at + USER.following] = Math.max(0, (state[at + USER.following] as number) - 1);
    }
  },
  onSignal: (state, at, fact) => {
    if (fact.signal !== IMPRESSION) return;
    const last = state[at + USER.lastSeen] as number;
    const start = state[at + USER.sessionStart] as number;
    if (last === 0 || fact.timeMs - last > SESSION_GAP_MS) {
      state[at + USER.sessionStart] = fact.timeMs;
      state[at + USER.sessionCount] = 0;
      state[at + USER.sessions] = (state[at + USER.sessions] as number) + 1;
    } else if (fact.timeMs < start) {
      // A late impression belongs to the running session or to one that is over, of which nothing is kept.
      if (fact.timeMs < start - SESSION_GAP_MS) return;
      state[at + USER.sessionStart] = fact.timeMs;
    }
    state[at + USER.sessionCount] = (state[at + USER.sessionCount] as number) + 1;
    if (fact.timeMs > last) state[at + USER.lastSeen] = fact.timeMs;
  },
  read: (context, at, out, column) => {
    const user = context.user;
    if (user === undefined) {
      out.fill(Number.NaN, column, column + 7 + ATTRIBUTES.length);
      return;
    }
    const now = context.nowMs;
    const created = user[at + USER.created] as number;
    const last = user[at + USER.lastSeen] as number;
    const inSession = last > 0 && now - last <= SESSION_GAP_MS;
    let languages = 0;
    while (languages < LANGUAGES && user[at + USER.languages + languages] !== 0) languages++;
    let c = column;
    out[c++] = created > 0 ? Math.max(0, now - created) * DAY : Number.NaN;
    const following = user[at + USER.following] as number;
    // Without a profile only what was counted is known.
    out[c++] = created > 0 || following > 0 ? following : Number.NaN;
    out[c++] = languages > 0 ? languages : Number.NaN;
    out[c++] = inSession ? (user[at + USER.sessionCount] as number) : 0;
    out[c++] = inSession ? (now - (user[at + USER.sessionStart] as number)) / 60_000 : 0;
    out[c++] = last > 0 ? Math.max(0, now - last) * HOUR : Number.NaN;
    out[c++] = user[at + USER.sessions] as number;
    for (let i = 0; i < ATTRIBUTES.length; i++)
      out[c++] = created > 0 ? (user[at + USER.attributes + i] as number) : Number.NaN;
  },
};

/** Whether the post's language is one of the viewer's: 1, 0, or NaN where either is unknown. */
export function languageMatch(context: RowContext): number {
  const language = context.post?.[POST.language] ?? 0;
  const user = context.user;
  if (language === 0 || user === undefined || user[USER.languages] === 0) return Number.NaN;
  for (let i = 0; i < LANGUAGES; i++) if (user[USER.languages + i] === language) return 1;
  return 0;
}
