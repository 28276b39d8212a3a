import type { Worker } from "node:worker_threads";
import { RoostError } from "../../errors.ts";
import type { BundleManifest } from "../../features/bundle.ts";
import { checkOutputs, signatureProblem } from "./signature.ts";
import type { StartSession } from "./start-session.ts";
import {
  END,
  type FromWorker,
  type SessionSettings,
  type SharedRows,
  type ToWorker,
} from "./worker-messages.ts";

/** One run as it waits for its worker. */
export interface Job {
  readonly n: number;
  readonly features: Float32Array;
  readonly ids: Int32Array;
  /** Nobody waits for it any more. */
  abandoned: boolean;
  readonly resolve: (outputs: Float32Array) => void;
  readonly reject: (error: Error) => void;
}

/** Rows that there is room for at the least: the heavy stage's usual number, so that memory is seldom exchanged. */
const MIN_ROWS = 512;
/** Restarts in a row, none of which became ready, before a thread is given up. */
const START_ATTEMPTS = 4;
const FIRST_RESTART_DELAY_MS = 50;
/** How long a closing thread may finish the run that it is in, and how long it may then take to end. */
const CLOSE_WAIT_MS = 5_000;

/** A worker thread with one session, which runs one job at a time and is started anew when it dies. */
export class SessionThread {
  readonly #start: StartSession;
  readonly #settings: SessionSettings;
  readonly #manifest: BundleManifest;
  readonly #onFree: () => void;
  #worker: Worker | undefined;
  #job: Job | undefined;
  /** What the worker at work was told to use. */
  #rows: SharedRows | undefined;
  #state: "starting" | "ready" | "lost" | "closed" = "starting";
  #failedStarts = 0;
  #exited: Promise<void> = Promise.resolve();
  #restart: NodeJS.Timeout | undefined;
  #afterJob: (() => void) | undefined;
  /** Settles when the first start has worked or not. */
  readonly started: Promise<void>;
  #settleStart: (error?: Error) => void = () => {};

  /** @param onFree called whenever this thread can take a job, or never will again */
  constructor(
    start: StartSession,
    settings: SessionSettings,
    manifest: BundleManifest,
    onFree: () => void,
  ) {
    this.#start = start;
    this.#settings = settings;
    this.#manifest = manifest;
    this.#onFree = onFree;
    this.started = new Promise((resolve, reject) => {
      this.#settleStart = (error) => (error === undefined ? resolve() : reject(error));
    });
    this.#launch();
  }

  get free(): boolean {
    return this.#state === "ready" && this.#job === undefined;
  }

  /** Whether it was given up after failing to start. */
  get lost(): boolean {
    return this.#state === "lost";
  }

  /** Hands a job over; only when `free`. */
  take(job: Job): void {
    this.#job = job;
    const { n, features, ids } = job;
    const d = this.#manifest.features.length;
    const k = this.#manifest.ids.length;
    const width = this.#manifest.heads.length;
    const grows = this.#rows === undefined || this.#rows.outputs.length < n * width;
    if (grows)
      this.#rows = sharedRows(Math.max(MIN_ROWS, 2 ** Math.ceil(Math.log2(n))), d, k, width);
    const rows = this.#rows as SharedRows;
    rows.features.set(features);
    rows.ids.set(ids);
    this.#worker?.postMessage({ n, d, k, ...(grows && { rows }) } satisfies ToWorker);
  }

  async close(): Promise<void> {
    const wasClosed = this.#state === "closed";
    this.#state = "closed";
    clearTimeout(this.#restart);
    this.#settleStart(new RoostError("NOT_READY", "the model was closed"));
    if (this.#job !== undefined && !wasClosed) {
      this.#job.reject(new RoostError("NOT_READY", "the model was closed"));
      // A thread that is ended in the middle of native code may take the process with it.
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, CLOSE_WAIT_MS);
        this.#afterJob = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    await this.#end();
  }

  /** Lets the worker end itself; one that does not is ended. */
  async #end(): Promise<void> {
    this.#worker?.postMessage(END);
    const timer = setTimeout(() => void this.#worker?.terminate(), CLOSE_WAIT_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  #launch(): void {
    this.#state = "starting";
    const worker = this.#start(this.#settings);
    this.#worker = worker;
    this.#rows = undefined;
    let cause = "it exited";
    worker.on("message", (message: FromWorker) => this.#receive(message));
    worker.on("error", (error) => {
      cause = error.message;
    });
    this.#exited = new Promise((resolve) => {
      worker.on("exit", () => {
        resolve();
        if (this.#worker === worker) this.#died(cause);
      });
    });
  }

  #receive(message: FromWorker): void {
    if (message.kind === "ready") this.#becomeReady(message.inputs, message.outputs);
    else if (message.kind === "refused") this.#giveUp(message.detail);
    else if (message.kind === "outputs") this.#finish((job) => this.#answer(job, message.length));
    else this.#finish((job) => job.reject(new RoostError("INFERENCE_FAILED", message.detail)));
  }

  #answer(job: Job, length: number): void {
    try {
      checkOutputs(this.#manifest, length, job.n);
      job.resolve(Float32Array.from((this.#rows as SharedRows).outputs.subarray(0, length)));
    } catch (error) {
      job.reject(error as Error);
    }
  }

  #becomeReady(inputs: readonly string[], outputs: readonly string[]): void {
    const problem = signatureProblem(inputs, outputs, this.#manifest);
    if (problem !== undefined) this.#giveUp(problem);
    if (this.#state !== "starting") return;
    this.#state = "ready";
    this.#failedStarts = 0;
    this.#settleStart();
    this.#onFree();
  }

  #finish(settle: (job: Job) => void): void {
    const job = this.#job;
    this.#job = undefined;
    if (job !== undefined) settle(job);
    this.#afterJob?.();
    this.#onFree();
  }

  /** The bytes are no model that this runtime loads: starting again would not help. */
  #giveUp(detail: string): void {
    if (this.#state === "closed") return;
    this.#state = "lost";
    this.#settleStart(
      new RoostError("BAD_BUNDLE", `${this.#manifest.kind} ${this.#manifest.version}: ${detail}`),
    );
    void this.#end();
    this.#onFree();
  }

  #died(cause: string): void {
    const wasStarting = this.#state === "starting";
    const ended = this.#state === "closed" || this.#state === "lost";
    if (!ended) this.#state = "starting";
    this.#finish((job) => {
      job.reject(new RoostError("INFERENCE_FAILED", `the worker died: ${cause}`));
    });
    if (ended) return;
    this.#failedStarts = wasStarting ? this.#failedStarts + 1 : 0;
    if (this.#failedStarts >= START_ATTEMPTS) {
      this.#giveUp(`its worker died ${START_ATTEMPTS} times while starting: ${cause}`);
    } else if (this.#failedStarts === 0) {
      this.#launch();
    } else {
      const delayMs = FIRST_RESTART_DELAY_MS * 2 ** this.#failedStarts;
      this.#restart = setTimeout(() => this.#launch(), delayMs);
    }
  }
}

function sharedRows(n: number, d: number, k: number, width: number): SharedRows {
  const bytes = (perRow: number) => new SharedArrayBuffer(4 * n * perRow);
  return {
    features: new Float32Array(bytes(d)),
    ids: new Int32Array(bytes(k)),
    outputs: new Float32Array(bytes(width)),
  };
}
