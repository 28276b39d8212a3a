import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InferenceSession } from "onnxruntime-node";

/** Warnings are about initialisers that were folded away. */
const ERRORS_ONLY = 3;

/**
 * The same model after onnxruntime's basic rewriting: constants folded, MatMul and Add made one Gemm, what is not needed
 * left out. Nothing in it depends on the processor, and all of it is ONNX, so any runtime loads it; fused operators of
 * onnxruntime's own (level extended) were not faster, and the layouts of level all are those of one processor.
 * The same bytes give the same bytes under one version of onnxruntime.
 */
export async function optimiseOnnx(model: Uint8Array): Promise<Uint8Array> {
  const dir = await mkdtemp(join(tmpdir(), "roost-optimise-"));
  try {
    const path = join(dir, "model.onnx");
    const session = await InferenceSession.create(model, {
      graphOptimizationLevel: "basic",
      optimizedModelFilePath: path,
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      logSeverityLevel: ERRORS_ONLY,
    });
    await session.release();
    return await readFile(path);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
