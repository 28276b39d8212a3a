import { expect, test } from "vitest";
import { checkWeights } from "../../features/check-weights.ts";
import { decodeOnnx } from "../graph/onnx-proto.ts";
import { onnxSession } from "../graph/run-onnx.ts";
import { heavyModel } from "./heavy-models.fixture.ts";
import { optimiseOnnx } from "./optimise-onnx.ts";

const { model, rows } = heavyModel();

async function outputsOf(bytes: Uint8Array): Promise<Float32Array> {
  const session = await onnxSession(bytes, 1);
  try {
    const { outputs } = await session.run({
      features: { data: rows.features, shape: [rows.n, rows.features.length / rows.n] },
      ids: { data: rows.ids, shape: [rows.n, 1] },
    });
    return outputs as Float32Array;
  } finally {
    await session.release();
  }
}

test("an optimised graph has fewer nodes and gives the same to 1e-6", async () => {
  const optimised = await optimiseOnnx(model);
  const [before, after] = [decodeOnnx(model).graph.node, decodeOnnx(optimised).graph.node];
  expect(after.length).toBeLessThan(before.length);
  expect(checkWeights(optimised)).toBeGreaterThan(10_000);
  const [a, b] = [await outputsOf(model), await outputsOf(optimised)];
  expect(b).toHaveLength(2 * rows.n);
  for (const [i, value] of a.entries())
    expect(Math.abs(value - (b[i] as number))).toBeLessThanOrEqual(
      1e-6 * Math.max(1, Math.abs(value)),
    );
});

test("what is saved is plain ONNX: no operator and no layout of one runtime or processor", async () => {
  const { graph } = decodeOnnx(await optimiseOnnx(model));
  expect(new Set(graph.node.map(({ domain }) => domain))).toEqual(new Set([""]));
  expect(graph.node.map(({ opType }) => opType)).not.toContain("ReorderInput");
});

test("the same model gives the same bytes, and an optimised one stays as it is", async () => {
  const once = await optimiseOnnx(model);
  expect(Buffer.compare(await optimiseOnnx(model), once)).toBe(0);
  expect(decodeOnnx(await optimiseOnnx(once)).graph.node).toHaveLength(
    decodeOnnx(once).graph.node.length,
  );
});
