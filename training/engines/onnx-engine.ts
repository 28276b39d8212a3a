import { gradients } from "../graph/gradients.ts";
import { onnxSession } from "../graph/run-onnx.ts";
import { toOnnx } from "../graph/to-onnx.ts";
import type { Value } from "../graph/value.ts";
import type { Engine } from "./engine.ts";

/** Training and inference on onnxruntime, `threads` (1 or 2 on small machines) including the calling thread. */
export function onnxEngine(threads: number): Engine {
  const named = (values: readonly Value[]): Record<string, Value> =>
    Object.fromEntries(values.map((value, i) => [`out_${i}`, value]));
  return {
    name: "onnx",
    trainingStep: async (loss, wrt) => {
      const outputs = { loss, ...named(gradients(loss, wrt)) };
      const session = await onnxSession(toOnnx({ outputs }), threads);
      return {
        run: async (feeds) => {
          const results = await session.run(feeds);
          return {
            loss: results.loss?.[0] as number,
            gradients: wrt.map((_, i) => results[`out_${i}`] as Float32Array),
          };
        },
        release: () => session.release(),
      };
    },
    forward: async (outputs) => {
      const session = await onnxSession(toOnnx({ outputs: named(outputs) }), threads);
      return {
        run: async (feeds) => {
          const results = await session.run(feeds);
          return outputs.map((_, i) => results[`out_${i}`] as Float32Array);
        },
        release: () => session.release(),
      };
    },
  };
}
