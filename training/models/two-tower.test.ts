import { expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import { gradients } from "../graph/gradients.ts";
import { onnxSession } from "../graph/run-onnx.ts";
import type { Fed } from "../graph/run-tfjs.ts";
import { toOnnx } from "../graph/to-onnx.ts";
import { input } from "../graph/value.ts";
import { ParameterSet } from "./parameter-set.ts";
import { listLoss, tower, towerScale, twoTowerLoss } from "./two-tower.ts";

const [B, C, D] = [4, 12, 3];
const PAIR_WEIGHT = 0.7;

const draws = random(1, "two-tower test");
const normal = (shape: number[]): Fed => ({
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => draws.normal()),
});

function lossFeeds(): Record<string, Fed> {
  return {
    users: normal([B, D]),
    posts: normal([C, D]),
    corrections: normal([B, C]),
    row_weights: { data: Float32Array.of(0.4, 0.1, 0.3, 0.2), shape: [B] },
    pair_weights: { data: Float32Array.of(0.5, 0, 0.25, 0.25), shape: [B] },
    log_scale: { data: Float32Array.of(0.6), shape: [1] },
  };
}

/** Yi et al., eq. 3–5, and BPR, eq. 4, in plain loops. */
function plainLoss(feeds: Record<string, Fed>): number {
  const at = (name: string, i: number): number => (feeds[name] as Fed).data[i] as number;
  const scale = Math.exp(at("log_scale", 0));
  let loss = 0;
  for (let i = 0; i < B; i++) {
    const logits = Array.from({ length: C }, (_, j) => {
      let dot = 0;
      for (let k = 0; k < D; k++) dot += at("users", i * D + k) * at("posts", j * D + k);
      return dot * scale;
    });
    const corrected = logits.map((logit, j) => logit + at("corrections", i * C + j));
    const sum = corrected.reduce((total, logit) => total + Math.exp(logit), 0);
    loss -= at("row_weights", i) * ((corrected[i] as number) - Math.log(sum));
    loss +=
      PAIR_WEIGHT *
      at("pair_weights", i) *
      Math.log1p(Math.exp((logits[B + i] as number) - (logits[i] as number)));
  }
  return loss;
}

test("the loss is the corrected softmax plus weighted pairs, written out in plain loops", async () => {
  const parameters = new ParameterSet();
  const [users, posts] = [input("users", [B, D]), input("posts", [C, D])];
  const loss = twoTowerLoss(users, posts, B, C, PAIR_WEIGHT, towerScale(parameters));
  const session = await onnxSession(toOnnx({ outputs: { loss } }), 1);
  for (let round = 0; round < 5; round++) {
    const feeds = lossFeeds();
    const out = await session.run(feeds);
    expect(out.loss?.[0]).toBeCloseTo(plainLoss(feeds), 4);
  }
  await session.release();
});

test("its gradients agree with central differences of the plain loops", async () => {
  const parameters = new ParameterSet();
  const [users, posts] = [input("users", [B, D]), input("posts", [C, D])];
  const loss = twoTowerLoss(users, posts, B, C, PAIR_WEIGHT, towerScale(parameters));
  const wrt = { users, posts, log_scale: parameters.values[0] as typeof users };
  const found = gradients(loss, Object.values(wrt));
  const outputs = Object.fromEntries(Object.keys(wrt).map((name, i) => [`d_${name}`, found[i]!]));
  const session = await onnxSession(toOnnx({ outputs }), 1);
  const feeds = lossFeeds();
  const ours = await session.run(feeds);
  for (const name of Object.keys(wrt)) {
    const data = (feeds[name] as Fed).data as Float32Array;
    // In double precision, so that the differences are good to far more than the tolerance.
    for (let e = 0; e < data.length; e++) {
      const value = data[e] as number;
      const loss = (x: number): number => {
        const shifted = Float64Array.from(data);
        shifted[e] = x;
        return plainLoss({ ...feeds, [name]: { ...feeds[name]!, data: shifted as never } });
      };
      const numeric = (loss(value + 1e-5) - loss(value - 1e-5)) / 2e-5;
      expect(ours[`d_${name}`]?.[e], `${name} ${e}`).toBeCloseTo(numeric, 4);
    }
  }
  await session.release();
});

test("a tower gives vectors of length 1: ReLUs beside a linear term, missing features at their mean", async () => {
  const parameters = new ParameterSet();
  const statistics = {
    mean: Float32Array.of(0.5, 0),
    deviation: Float32Array.of(2, 1),
    indicators: [0],
  };
  const y = tower(
    "user",
    input("features", ["n", 2]),
    statistics,
    input("pooled", ["n", 2]),
    { hidden: 4, dimension: D },
    parameters,
    random(2, "tower"),
  );
  for (const data of parameters.weights.values())
    for (let i = 0; i < data.length; i++) data[i] = (data[i] as number) + 0.2 * draws.normal();
  const session = await onnxSession(toOnnx({ outputs: { y }, weights: parameters.weights }), 1);
  const { y: out } = await session.run({
    features: { data: Float32Array.of(Number.NaN, 3, 1, -1), shape: [2, 2] },
    pooled: { data: Float32Array.of(0.2, -0.4, 1, 0), shape: [2, 2] },
  });
  await session.release();
  const logged = (x: number): number => Math.sign(x) * Math.log1p(Math.abs(x));
  const inputs = [
    [0, logged(3), 1, 0.2, -0.4],
    [(logged(1) - 0.5) / 2, logged(-1), 0, 1, 0],
  ];
  const w = (name: string): Float32Array => parameters.weights.get(`user_${name}`) as Float32Array;
  inputs.forEach((x, row) => {
    const hidden = Array.from({ length: 4 }, (_, h) =>
      Math.max(
        0,
        x.reduce((sum, v, i) => sum + v * (w("hidden")[i * 4 + h] as number), 0) +
          (w("hidden_bias")[h] as number),
      ),
    );
    const vector = Array.from(
      { length: D },
      (_, k) =>
        hidden.reduce((sum, v, h) => sum + v * (w("out")[h * D + k] as number), 0) +
        x.reduce((sum, v, i) => sum + v * (w("wide")[i * D + k] as number), 0) +
        (w("out_bias")[k] as number),
    );
    const length = Math.hypot(...vector);
    for (const [k, v] of vector.entries()) expect(out?.[row * D + k]).toBeCloseTo(v / length, 5);
  });
});

test("the loss of lists is the mean cross entropy of each list, empty places left out, and so are its gradients", async () => {
  const places = 3;
  const parameters = new ParameterSet();
  const [users, posts] = [input("users", [B, D]), input("posts", [B * places, D])];
  const loss = listLoss(users, posts, B, places, towerScale(parameters));
  const wrt = { users, posts, log_scale: parameters.values[0] as typeof users };
  const found = gradients(loss, Object.values(wrt));
  const outputs = Object.fromEntries(Object.keys(wrt).map((name, i) => [`d_${name}`, found[i]!]));
  const session = await onnxSession(toOnnx({ outputs: { loss, ...outputs } }), 1);
  const feeds: Record<string, Fed> = {
    users: normal([B, D]),
    posts: normal([B * places, D]),
    log_scale: { data: Float32Array.of(0.4), shape: [1] },
    // The second viewer has two posts, the last none.
    list_target: {
      data: Float32Array.of(0.5, 0.2, 0.3, 0.9, 0, 0.1, 0, 1, 0, 0, 0, 0),
      shape: [B, places],
    },
    list_mask: {
      data: Float32Array.of(0, 0, 0, 0, -1e4, 0, 0, 0, 0, -1e4, -1e4, -1e4),
      shape: [B, places],
    },
  };
  const plain = (fed: Record<string, Fed>): number => {
    const at = (name: string, i: number): number => (fed[name] as Fed).data[i] as number;
    let sum = 0;
    for (let i = 0; i < B; i++) {
      const used = [0, 1, 2].filter((j) => at("list_mask", i * places + j) === 0);
      const logit = (j: number): number =>
        Math.exp(at("log_scale", 0)) *
        [0, 1, 2].reduce(
          (dot, k) => dot + at("users", i * D + k) * at("posts", (i * places + j) * D + k),
          0,
        );
      const total = used.reduce((all, j) => all + Math.exp(logit(j)), 0);
      for (const j of used) sum -= at("list_target", i * places + j) * (logit(j) - Math.log(total));
    }
    return sum / B;
  };
  const ours = await session.run(feeds);
  await session.release();
  expect(ours.loss?.[0]).toBeCloseTo(plain(feeds), 4);
  for (const name of Object.keys(wrt)) {
    const data = (feeds[name] as Fed).data as Float32Array;
    for (let e = 0; e < data.length; e++) {
      const shifted = (by: number): number => {
        const moved = Float64Array.from(data);
        moved[e] = (moved[e] as number) + by;
        return plain({ ...feeds, [name]: { ...feeds[name]!, data: moved as never } });
      };
      const numeric = (shifted(1e-5) - shifted(-1e-5)) / 2e-5;
      expect(ours[`d_${name}`]?.[e], `${name} ${e}`).toBeCloseTo(numeric, 4);
    }
  }
});
