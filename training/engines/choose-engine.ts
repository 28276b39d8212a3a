import { RoostError } from "../../errors.ts";
import type { TensorFlow } from "../graph/value.ts";
import type { Engine } from "./engine.ts";
import { onnxEngine } from "./onnx-engine.ts";
import { tfjsEngine } from "./tfjs-engine.ts";

/** Packages that bring TensorFlow.js, the fast one first. Neither is a dependency of ours. */
const TENSORFLOW_PACKAGES = ["@tensorflow/tfjs-node", "@tensorflow/tfjs"];

/**
 * The engine of this name. `threads` is for onnxruntime; TensorFlow.js decides for itself.
 * @throws BAD_ARGUMENT when TensorFlow.js is asked for and not installed
 */
export async function chooseEngine(
  name: "onnx" | "tfjs",
  threads: number,
  load: (specifier: string) => Promise<unknown> = (specifier) => import(specifier),
): Promise<Engine> {
  if (name === "onnx") return onnxEngine(threads);
  for (const specifier of TENSORFLOW_PACKAGES) {
    const loaded = await load(specifier).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ERR_MODULE_NOT_FOUND") return undefined;
      throw error;
    });
    if (loaded) return tfjsEngine(tensorFlowOf(loaded));
  }
  throw new RoostError(
    "BAD_ARGUMENT",
    `engine tfjs needs TensorFlow.js: npm install --no-save ${TENSORFLOW_PACKAGES.join(" or ")}`,
  );
}

/** Both packages are CommonJS, whose exports may arrive under `default` only. */
function tensorFlowOf(loaded: unknown): TensorFlow {
  const module = loaded as { default?: TensorFlow; tensor?: unknown };
  return (module.tensor === undefined ? module.default : module) as TensorFlow;
}
