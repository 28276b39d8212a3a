import { Worker } from "node:worker_threads";
import type { SessionSettings } from "./worker-messages.ts";

/** Starts a thread that loads the model and answers runs. */
export type StartSession = (settings: SessionSettings) => Worker;

// In a build the sources are `.js`; the text of a URL is not rewritten by the compiler as imports are.
const EXTENSION = import.meta.url.endsWith(".ts") ? "ts" : "js";
const TARGET = new URL(`./session-worker.${EXTENSION}`, import.meta.url).href;
const ENTRY = new URL("../../worker.mjs", import.meta.url);

export const startSession: StartSession = (settings) =>
  new Worker(ENTRY, { workerData: { target: TARGET, ...settings } });
