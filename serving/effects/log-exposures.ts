import type { ExposureLogger } from "../../experiments/assignment/exposure-logger.ts";
import type { HomeQuery } from "../pipeline/home-query.ts";
import type { SideEffect } from "../pipeline/stages.ts";

const TIMEOUT_MS = 10_000;

/** Logs each arm that the viewer was shown, once per unit and arm. */
export function logExposures(exposures: ExposureLogger): SideEffect<HomeQuery> {
  return {
    name: "log_exposures",
    timeoutMs: TIMEOUT_MS,
    onFailure: "open",
    enabled: (query) => query.assignments.some(({ hashUsed }) => hashUsed),
    run: async ({ viewerId, requestId, nowMs, assignments }) => {
      await exposures.log({ userId: viewerId, requestId, nowMs, assignments });
    },
  };
}
