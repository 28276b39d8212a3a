import { parentPort, workerData } from "node:worker_threads";
import { InferenceSession, Tensor } from "onnxruntime-node";
import {
  END,
  type FromWorker,
  type RunRows,
  type SessionSettings,
  type SharedRows,
  type ToWorker,
} from "./worker-messages.ts";

/** A worker thread with one onnxruntime session: its `run` blocks the thread that calls it. */
const { model, threads } = workerData as SessionSettings;
const port = parentPort;
if (port === null) throw new Error("session-worker.ts runs in a worker thread only");
const post = (message: FromWorker): void => port.postMessage(message);
/** Errors come back as exceptions; what onnxruntime prints beside them would bypass the log. */
const QUIET = 4;

try {
  const session = await InferenceSession.create(model, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: QUIET,
    // Threads that spin between requests would take the cores that the event loop needs.
    extra: { session: { intra_op: { allow_spinning: "0" } } },
  });
  port.on("message", (message: ToWorker) => {
    if (message === END) void session.release().finally(() => port.close());
    else void answer(session, message);
  });
  post({ kind: "ready", inputs: session.inputNames, outputs: session.outputNames });
} catch (error) {
  post({ kind: "refused", detail: (error as Error).message });
  port.close();
}

/** The memory shared with the pool, and of its size the inputs that onnxruntime takes: it refuses shared ones. */
let shared: SharedRows | undefined;
let features = new Float32Array(0);
let ids = new Int32Array(0);

async function answer(session: InferenceSession, { n, d, k, rows }: RunRows): Promise<void> {
  if (rows !== undefined) {
    shared = rows;
    features = new Float32Array(rows.features.length);
    ids = new Int32Array(rows.ids.length);
  }
  const from = shared as SharedRows;
  features.set(from.features.subarray(0, n * d));
  ids.set(from.ids.subarray(0, n * k));
  try {
    const feeds: Record<string, Tensor> = {
      features: new Tensor("float32", features.subarray(0, n * d), [n, d]),
    };
    if (k > 0) feeds.ids = new Tensor("int32", ids.subarray(0, n * k), [n, k]);
    const { outputs } = await session.run(feeds, { logSeverityLevel: QUIET });
    const values = outputs?.data as Float32Array;
    if (values.length <= from.outputs.length) from.outputs.set(values);
    post({ kind: "outputs", length: values.length });
  } catch (error) {
    post({ kind: "failed", detail: (error as Error).message });
  }
}
