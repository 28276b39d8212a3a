import { parentPort, workerData } from "node:worker_threads";
import { InferenceSession, Tensor } from "onnxruntime-node";
import type { FromWorker, SessionSettings, ToWorker } from "./worker-messages.ts";

/** A worker thread with one onnxruntime session: its `run` blocks the thread that calls it. */
const { model, threads } = workerData as SessionSettings;
const port = parentPort;
if (port === null) throw new Error("session-worker.ts runs in a worker thread only");
const post = (message: FromWorker, transfer: ArrayBuffer[] = []): void =>
  port.postMessage(message, transfer);
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
    void answer(session, message);
  });
  post({ kind: "ready", inputs: session.inputNames, outputs: session.outputNames });
} catch (error) {
  post({ kind: "refused", detail: (error as Error).message });
}

async function answer(session: InferenceSession, message: ToWorker): Promise<void> {
  const { n, features, ids } = message;
  try {
    const feeds: Record<string, Tensor> = {
      features: new Tensor("float32", features, [n, features.length / n]),
    };
    if (ids.length > 0) feeds.ids = new Tensor("int32", ids, [n, ids.length / n]);
    const { outputs } = await session.run(feeds, { logSeverityLevel: QUIET });
    // The tensor's own memory belongs to onnxruntime; a copy can be handed over.
    const copy = new Float32Array(outputs?.data as Float32Array);
    post({ kind: "outputs", outputs: copy }, [copy.buffer]);
  } catch (error) {
    post({ kind: "failed", detail: (error as Error).message });
  }
}
