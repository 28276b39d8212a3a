import { expect, test } from "vitest";
import { onnxSession } from "../graph/run-onnx.ts";
import { toOnnx } from "../graph/to-onnx.ts";
import { input } from "../graph/value.ts";
import { inputStatistics, inputTransform } from "./input-transform.ts";

const { NaN: missing, POSITIVE_INFINITY: infinite } = Number;

test("values are logged, normalised and clipped; missing and infinite ones become 0 and raise their flag", async () => {
  // Columns: always there · sometimes missing · missing with the one before · constant · always missing.
  const rows = [
    [0, missing, missing, 4, missing],
    [Math.E - 1, 2, 5, 4, missing],
    [-(Math.E - 1), 3, 6, 4, missing],
    [Math.E ** 2 - 1, infinite, missing, 4, missing],
  ];
  const features = Float32Array.from(rows.flat());
  const statistics = inputStatistics(features, 4, 5, [0, 1, 2, 3, 4]);
  expect(statistics.mean[0]).toBeCloseTo((0 + 1 - 1 + 2) / 4, 6);
  expect(statistics.deviation[0]).toBeCloseTo(Math.sqrt(6 / 4 - 0.25), 6);
  expect(statistics.deviation[3]).toBe(1);
  expect(statistics.indicators).toEqual([1]);

  const x = input("x", ["n", 5]);
  const y = inputTransform(x, statistics);
  expect(y.shape).toEqual(["n", 6]);
  const session = await onnxSession(toOnnx({ outputs: { y } }), 1);
  const feed = Float32Array.from([...rows.flat(), 1e30, 2, 5, 4, 9, -infinite, 2, missing, -1, 0]);
  const { y: out } = await session.run({ x: { data: feed, shape: [6, 5] } });
  const row = (i: number): number[] => [...(out as Float32Array).slice(i * 6, i * 6 + 6)];
  const sd = Math.sqrt(1.25);
  expect(row(0)[0]).toBeCloseTo((0 - 0.5) / sd, 5);
  expect(row(3)[0]).toBeCloseTo((2 - 0.5) / sd, 5);
  expect(row(0).slice(1)).toEqual([0, 0, 0, 0, 1]);
  expect(row(3).slice(1)).toEqual([0, 0, 0, 0, 1]);
  expect(row(1)[5]).toBe(0);
  expect(row(4)[0]).toBe(5);
  expect(row(5)[0]).toBe(0);
  expect(row(5)[3]).toBeCloseTo(-Math.log(2) - Math.log(5), 5);
  await session.release();
});

test("statistics of a sample of rows are close to those of all", () => {
  const features = Float32Array.from({ length: 9000 }, (_, i) => (i * 7919) % 100);
  const all = inputStatistics(features, 9000, 1, [0]);
  const some = inputStatistics(features, 9000, 1, [0], 7);
  expect(some.mean[0]).toBeCloseTo(all.mean[0] as number, 1);
  expect(some.deviation[0]).toBeCloseTo(all.deviation[0] as number, 1);
});
