import { EventEmitter, getEventListeners } from "node:events";
import type { ServerResponse } from "node:http";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { RoostError } from "../../errors.ts";
import { CallerGone, requestSignal, settleAfterAbort } from "./request-signal.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const make = (deadlineMs = 100) => {
  const response = new EventEmitter() as ServerResponse;
  const stopping = new AbortController();
  return { response, stopping, ...requestSignal(response, deadlineMs, stopping.signal) };
};

test("the signal aborts at the deadline, not before, and says which", () => {
  const { signal } = make(100);
  vi.advanceTimersByTime(99);
  expect(signal.aborted).toBe(false);
  vi.advanceTimersByTime(1);
  expect(signal.reason).toMatchObject({ code: "DEADLINE_EXCEEDED" });
});

test("it aborts when the caller goes and when the server stops, also if it stopped before", () => {
  const gone = make();
  gone.response.emit("close");
  expect(gone.signal.reason).toBeInstanceOf(CallerGone);
  const stopped = make();
  const reason = new RoostError("NOT_READY", "it is stopping");
  stopped.stopping.abort(reason);
  expect(stopped.signal.reason).toBe(reason);
  expect(requestSignal(gone.response, 100, stopped.stopping.signal).signal.reason).toBe(reason);
});

test("after release nothing is left that could abort it: no timer, no listener", () => {
  const { response, stopping, signal, release } = make();
  expect(vi.getTimerCount()).toBe(1);
  release();
  expect(vi.getTimerCount()).toBe(0);
  expect(response.listenerCount("close")).toBe(0);
  expect(getEventListeners(stopping.signal, "abort")).toHaveLength(0);
  expect(signal.aborted).toBe(false);
});

test("work that settles in the grace time is taken; then the signal's reason is thrown", async () => {
  const aborted = AbortSignal.abort(new RoostError("DEADLINE_EXCEEDED", "5 ms"));
  const after = (ms: number) =>
    new Promise<string>((resolve) => setTimeout(() => resolve("page"), ms));
  const inTime = settleAfterAbort(after(50), aborted, 51);
  await vi.advanceTimersByTimeAsync(50);
  expect(await inTime).toBe("page");
  expect(vi.getTimerCount()).toBe(0);
  const tooLate = expect(settleAfterAbort(after(52), aborted, 51)).rejects.toMatchObject({
    code: "DEADLINE_EXCEEDED",
  });
  await vi.advanceTimersByTimeAsync(51);
  await tooLate;
});

test("work without an abort has all the time, and its own failure is passed on", async () => {
  const { signal } = new AbortController();
  const slow = settleAfterAbort(
    new Promise((resolve) => setTimeout(() => resolve(1), 1e6)),
    signal,
    1,
  );
  await vi.advanceTimersByTimeAsync(1e6);
  expect(await slow).toBe(1);
  await expect(settleAfterAbort(Promise.reject(new Error("own")), signal, 1)).rejects.toThrow(
    "own",
  );
  expect(getEventListeners(signal, "abort")).toHaveLength(0);
});
