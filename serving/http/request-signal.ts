import type { ServerResponse } from "node:http";
import { RoostError } from "../../errors.ts";

/** The caller went away before the answer: nobody reads what would be sent. */
export class CallerGone extends Error {
  override readonly name = "CallerGone";
}

/**
 * A signal that aborts when the deadline passes, the caller closes the connection or `stopping` aborts.
 * `release` must be called before the answer is sent: the connection closes after an answer too.
 */
export function requestSignal(
  response: ServerResponse,
  deadlineMs: number,
  stopping: AbortSignal,
): { readonly signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  const timer = setTimeout(
    () => controller.abort(new RoostError("DEADLINE_EXCEEDED", `${deadlineMs} ms`)),
    deadlineMs,
  );
  const onClose = (): void => controller.abort(new CallerGone("the caller has gone"));
  const onStop = (): void => controller.abort(stopping.reason);
  response.once("close", onClose);
  stopping.addEventListener("abort", onStop, { once: true });
  if (stopping.aborted) onStop();
  return {
    signal: controller.signal,
    release() {
      clearTimeout(timer);
      response.off("close", onClose);
      stopping.removeEventListener("abort", onStop);
    },
  };
}

/**
 * `work`, or a rejection with the signal's reason once it has been aborted for `graceMs`: work that degrades at the
 * deadline gets the grace to answer, work that ignores its signal cannot hold the request.
 */
export async function settleAfterAbort<T>(
  work: Promise<T>,
  signal: AbortSignal,
  graceMs: number,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let onAbort: (() => void) | undefined;
  const late = new Promise<never>((_, reject) => {
    onAbort = () => {
      timer = setTimeout(() => reject(signal.reason as Error), graceMs);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    if (onAbort !== undefined) signal.removeEventListener("abort", onAbort);
  }
}
