import { InferenceSession, Tensor } from "onnxruntime-node";
import { expect, test } from "vitest";
import { tinyOnnx } from "../inference/tiny-model.fixture.ts";
import { matrixProducts, productFlops, productsOnnx } from "./matrix-products.ts";

test("finds a model's products with constant weights and counts their arithmetic", () => {
  const model = tinyOnnx({ weights: [1, 2, 3, 4, 5, 6], bias: [0, 0] });
  expect(matrixProducts(model)).toEqual([{ inner: 3, columns: 2 }]);
  expect(
    productFlops(
      [
        { inner: 3, columns: 2 },
        { inner: 4, columns: 5 },
      ],
      10,
    ),
  ).toBe(520);
});

test("the model of products computes each of them and gives its first row", async () => {
  const products = [
    { inner: 4, columns: 3 },
    { inner: 2, columns: 5 },
    { inner: 4, columns: 1 },
  ];
  const model = productsOnnx(products);
  expect(matrixProducts(model)).toEqual(products);
  const session = await InferenceSession.create(model);
  expect(session.inputNames).toEqual(["x4", "x2"]);
  const x = Float32Array.from({ length: 8 }, (_, i) => i + 1);
  const outputs = await session.run({
    x4: new Tensor("float32", x, [2, 4]),
    x2: new Tensor("float32", x.slice(0, 4), [2, 2]),
  });
  products.forEach(({ inner, columns }, i) => {
    const row = outputs[`row${i}`] as Tensor;
    expect(row.dims).toEqual([1, columns]);
    for (let c = 0; c < columns; c++) {
      let sum = 0;
      for (let j = 0; j < inner; j++) sum += (j + 1) * (((j * columns + c) % 17) / 17 - 0.5);
      expect((row.data as Float32Array)[c]).toBeCloseTo(sum, 4);
    }
  });
  await session.release();
});
