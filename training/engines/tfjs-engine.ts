import type { NamedTensorMap, Scalar, Tensor } from "@tensorflow/tfjs";
import { runTwins, toTensor } from "../graph/run-tfjs.ts";
import type { TensorFlow, Value } from "../graph/value.ts";
import type { Engine, Feeds } from "./engine.ts";

/**
 * Training on TensorFlow.js: graphs run through their twins, and gradients come from TensorFlow.js' own differentiation,
 * not from our rules. Gradients agree with the onnxruntime engine's to float32 rounding.
 */
export function tfjsEngine(tf: TensorFlow): Engine {
  const tensors = (feeds: Feeds): Map<string, Tensor> =>
    new Map(Object.entries(feeds).map(([name, fed]) => [name, toTensor(tf, fed)]));
  return {
    name: "tfjs",
    trainingStep: async (loss, wrt) => {
      const names = wrt.map(leafName);
      return {
        run: async (feeds) => {
          const result = tf.tidy((): NamedTensorMap => {
            const leaves = tensors(feeds);
            const { value, grads } = tf.valueAndGrads((...active: Tensor[]): Scalar => {
              const all = new Map(leaves);
              names.forEach((name, i) => {
                all.set(name, active[i] as Tensor);
              });
              return runTwins(tf, [loss], all)[0] as Scalar;
            })(names.map((name) => leaves.get(name) as Tensor));
            return { loss: value, ...Object.fromEntries(grads.map((g, i) => [`out_${i}`, g])) };
          });
          const data = async (name: string): Promise<Float32Array> =>
            (await (result[name] as Tensor).data()) as Float32Array;
          const value = (await data("loss"))[0] as number;
          const gradients = await Promise.all(names.map((_, i) => data(`out_${i}`)));
          tf.dispose(result);
          return { loss: value, gradients };
        },
        release: async () => {},
      };
    },
    forward: async (outputs) => ({
      run: async (feeds) => {
        const results = tf.tidy(() => runTwins(tf, outputs, tensors(feeds)));
        const data = await Promise.all(results.map((tensor) => tensor.data()));
        tf.dispose(results);
        return data as Float32Array[];
      },
      release: async () => {},
    }),
  };
}

function leafName({ source }: Value): string {
  if (source.kind === "input" || source.kind === "parameter") return source.name;
  throw new TypeError("gradients are taken with respect to inputs and parameters only");
}
