import type { FeatureFamily } from "../family.ts";
import { USER } from "./user-profile.ts";

const DAY_MS = 86_400_000;
/** 1970-01-01 was a Thursday; weeks here begin on Monday. */
const EPOCH_WEEKDAY = 3;

/** When and where the request happens, on the viewer's own clock. */
export const requestContext: FeatureFamily = {
  name: "request_context",
  version: 1,
  slots: 0,
  perRequest: true,
  reads: ["user"],
  features: [
    { name: "context.hour_sin", description: "sine of the local hour's angle" },
    { name: "context.hour_cos", description: "cosine of the local hour's angle" },
    { name: "context.day_of_week", description: "0 = Monday … 6 = Sunday, local" },
    { name: "context.weekend", description: "1 on Saturday and Sunday, local" },
  ],
  read: (context, _at, out, column) => {
    const local = context.nowMs + (context.user?.[USER.utcOffsetMinutes] ?? 0) * 60_000;
    const angle = ((local % DAY_MS) / DAY_MS) * 2 * Math.PI;
    const weekday = (Math.floor(local / DAY_MS) + EPOCH_WEEKDAY) % 7;
    out[column] = Math.sin(angle);
    out[column + 1] = Math.cos(angle);
    out[column + 2] = weekday;
    out[column + 3] = weekday >= 5 ? 1 : 0;
  },
};
