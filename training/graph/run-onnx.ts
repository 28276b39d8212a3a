import { InferenceSession, Tensor } from "onnxruntime-node";
import type { Fed } from "./run-tfjs.ts";

/** A loaded ONNX model. */
export interface OnnxSession {
  /** Runs once. Feeds the model does not declare are left out. Blocks the thread's event loop while it computes. */
  run(feeds: Readonly<Record<string, Fed>>): Promise<Record<string, Float32Array>>;
  release(): Promise<void>;
}

/** Warnings are about initialisers that optimisation removed; errors arrive as exceptions too. */
const ERRORS_ONLY = 3;
/** For models that may well fail: the exception alone tells. */
export const QUIET = 4;

/** Loads a model on `threads` threads, the calling one included. */
export async function onnxSession(
  model: Uint8Array,
  threads: number,
  logSeverityLevel: typeof ERRORS_ONLY | typeof QUIET = ERRORS_ONLY,
): Promise<OnnxSession> {
  const session = await InferenceSession.create(model, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    graphOptimizationLevel: "all",
    // A waiting thread that spins takes the core from whoever it waits for: on two busy cores a step took 4–5 times as long.
    extra: { session: { intra_op: { allow_spinning: "0" } } },
    logSeverityLevel,
  });
  return {
    run: async (feeds) => {
      const tensors: Record<string, Tensor> = {};
      for (const name of session.inputNames) {
        const fed = feeds[name];
        if (!fed) throw new TypeError(`no tensor fed for ${name}`);
        tensors[name] =
          fed.data instanceof Int32Array
            ? new Tensor("int32", fed.data, fed.shape)
            : new Tensor("float32", fed.data, fed.shape);
      }
      const results = await session.run(tensors, { logSeverityLevel });
      const out: Record<string, Float32Array> = {};
      for (const name of session.outputNames) {
        const data = results[name]?.data;
        out[name] = data instanceof Float32Array ? data : Float32Array.from(data as Int32Array);
      }
      return out;
    },
    release: () => session.release(),
  };
}
