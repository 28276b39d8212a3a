import { RoostError } from "../../errors.ts";
import type { FailureKind, RequestRecord, StageName } from "./record.ts";
import type { Awaitable, Component } from "./stages.ts";

/** What the stages of one request share. */
export interface Run {
  /** Aborts when the caller gives up or a required component fails. */
  readonly signal: AbortSignal;
  /** A monotonic clock in milliseconds. */
  readonly now: () => number;
  /** On that clock; Infinity = none. */
  readonly deadlineAt: number;
  readonly record: RequestRecord;
}

/** A component's answer, what kept it from giving one, or that it does not run for this query. */
export type Attempt<T> =
  | { readonly state: "done"; readonly value: T }
  | { readonly state: "failed" }
  | { readonly state: "disabled" };

/**
 * Runs one component if it is enabled: within its timeout and the request's deadline, timed, its answer checked, its
 * failure recorded. `check` throws COLUMN_LENGTH or NOT_FINITE for an answer that cannot be used.
 * @throws the abort reason when the request is cancelled; the failure of a `required` component.
 */
export async function attempt<Query, T>(
  run: Run,
  stage: StageName,
  component: Component<Query>,
  query: Query,
  call: (signal: AbortSignal) => Awaitable<T>,
  check?: (value: T) => void,
): Promise<Attempt<T>> {
  const entry = run.record.run(stage, component.name);
  const startedAt = run.now();
  try {
    run.signal.throwIfAborted();
    entry.enabled = component.enabled === undefined || component.enabled(query);
    if (!entry.enabled) return { state: "disabled" };
    const value = await bounded(run, component, startedAt, call);
    check?.(value);
    return { state: "done", value };
  } catch (error) {
    run.signal.throwIfAborted();
    fail(run, stage, component, error);
    return { state: "failed" };
  } finally {
    entry.ms += run.now() - startedAt;
  }
}

/** Records a failure. @throws it, as a RoostError, when the component is `required`. */
export function fail<Query>(
  run: Run,
  stage: StageName,
  component: Component<Query>,
  error: unknown,
  rows?: number,
): void {
  const kind = kindOf(error);
  run.record.failures.push({
    component: component.name,
    stage,
    kind,
    policy: component.onFailure,
    detail: error instanceof Error ? error.message : String(error),
    ...(rows === undefined ? {} : { rows }),
    error,
  });
  if (component.onFailure === "required" && stage !== "side_effects") {
    throw kind === "failed" ? new RoostError("COMPONENT_FAILED", component.name, error) : error;
  }
}

async function bounded<Query, T>(
  run: Run,
  component: Component<Query>,
  startedAt: number,
  call: (signal: AbortSignal) => Awaitable<T>,
): Promise<T> {
  const left = run.deadlineAt - startedAt;
  if (component.timeoutMs > 0 && left <= 0)
    throw new RoostError("DEADLINE_EXCEEDED", `${component.name} was not started`);

  if (component.timeoutMs <= 0) {
    // Nobody can abort what is synchronous: a signal of its own would be made for nothing.
    const answer = call(run.signal);
    if (!isPromise(answer)) return answer;
    answer.catch(() => {});
    throw new TypeError(`${component.name} declares timeoutMs 0 but returned a promise`);
  }
  const own = new AbortController();
  const answer = call(own.signal);
  if (!isPromise(answer)) return answer;

  let timer: NodeJS.Timeout | undefined;
  let onAbort: (() => void) | undefined;
  const end = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () =>
        reject(
          left < component.timeoutMs
            ? new RoostError("DEADLINE_EXCEEDED", `${component.name} was cut after ${left} ms`)
            : new RoostError(
                "COMPONENT_TIMEOUT",
                `${component.name} took longer than ${component.timeoutMs} ms`,
              ),
        ),
      Math.min(component.timeoutMs, left),
    );
    onAbort = () => reject(run.signal.reason);
    run.signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([answer, end]);
  } catch (error) {
    // Tells the component that nobody waits for it any more.
    own.abort(error);
    throw error;
  } finally {
    clearTimeout(timer);
    if (onAbort) run.signal.removeEventListener("abort", onAbort);
  }
}

function isPromise<T>(answer: Awaitable<T>): answer is Promise<T> {
  return typeof (answer as Partial<Promise<T>> | null | undefined)?.then === "function";
}

function kindOf(error: unknown): FailureKind {
  if (!(error instanceof RoostError)) return "failed";
  switch (error.code) {
    case "COMPONENT_TIMEOUT":
      return "late";
    case "DEADLINE_EXCEEDED":
      return "deadline";
    case "COLUMN_LENGTH":
      return "wrong_length";
    case "NOT_FINITE":
      return "not_finite";
    default:
      return "failed";
  }
}
