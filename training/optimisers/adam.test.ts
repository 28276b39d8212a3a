import * as tf from "@tensorflow/tfjs";
import { expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import { ADAM_DEFAULTS, adamMoments, adamStep } from "./adam.ts";

test("the first step moves every weight by the learning rate against its gradient's sign", () => {
  const weights = Float32Array.of(1, 1, 1);
  adamStep(weights, Float32Array.of(0.5, -3, 0), adamMoments(3), 1, 0.1);
  expect([...weights].map((w) => Number(w.toFixed(5)))).toEqual([0.9, 1.1, 1]);
});

test("two steps equal the closed form of algorithm 1 written out in double precision", () => {
  const { beta1, beta2, epsilon } = ADAM_DEFAULTS;
  const [g1, g2, rate] = [0.3, -0.7, 0.01];
  const weights = Float32Array.of(2);
  const moments = adamMoments(1);
  adamStep(weights, Float32Array.of(g1), moments, 1, rate);
  adamStep(weights, Float32Array.of(g2), moments, 2, rate);
  const mean = (beta1 * (1 - beta1) * g1 + (1 - beta1) * g2) / (1 - beta1 ** 2);
  const square = (beta2 * (1 - beta2) * g1 ** 2 + (1 - beta2) * g2 ** 2) / (1 - beta2 ** 2);
  const wanted = 2 - rate * Math.sign(g1) - (rate * mean) / (Math.sqrt(square) + epsilon);
  expect(weights[0]).toBeCloseTo(wanted, 6);
});

test("fifty steps on random gradients follow TensorFlow.js' Adam", async () => {
  const draws = random(3, "adam");
  const start = Float32Array.from({ length: 20 }, () => draws.normal());
  const ours = start.slice();
  const moments = adamMoments(20);
  const theirs = tf.variable(tf.tensor1d(start));
  const adam = tf.train.adam(0.02, 0.9, 0.999, 1e-7);
  for (let step = 1; step <= 50; step++) {
    const gradient = Float32Array.from({ length: 20 }, () => draws.normal());
    adamStep(ours, gradient, moments, step, 0.02);
    adam.applyGradients([{ name: theirs.name, tensor: tf.tensor1d(gradient) }]);
  }
  const wanted = await theirs.data();
  for (let i = 0; i < 20; i++) expect(ours[i]).toBeCloseTo(wanted[i] as number, 4);
});

test("decoupled weight decay shrinks by learning rate × decay, whatever the gradient", () => {
  const plain = Float32Array.of(4);
  const decayed = Float32Array.of(4);
  adamStep(plain, Float32Array.of(5), adamMoments(1), 1, 0.1);
  adamStep(decayed, Float32Array.of(5), adamMoments(1), 1, 0.1, ADAM_DEFAULTS, 0.2);
  expect((plain[0] as number) - (decayed[0] as number)).toBeCloseTo(0.1 * 0.2 * 4, 6);
});
