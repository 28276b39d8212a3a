import { type Dim, elementCount, shapeError } from "../shape.ts";
import { addOp, type Value } from "../value.ts";

/** Which operands are read transposed (their last two axes swapped), at no cost. */
export interface MatmulOptions {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

/**
 * Matrix product [m, k]·[k, p] → [m, p], or a batch of them [b, m, k]·[b, k, p] → [b, m, p].
 * @throws GRAPH_SHAPE when ranks or inner sizes differ.
 */
export function matmul(a: Value, b: Value, options: MatmulOptions = {}): Value {
  const { transposeA = false, transposeB = false } = options;
  const rank = a.shape.length;
  if (rank !== b.shape.length || (rank !== 2 && rank !== 3))
    throw shapeError("matmul", "both operands must have rank 2, or both rank 3", a.shape, b.shape);
  const rows = (value: Value): Dim => value.shape[rank - 2] as Dim;
  const columns = (value: Value): Dim => value.shape[rank - 1] as Dim;
  const [m, inner] = transposeA ? [columns(a), rows(a)] : [rows(a), columns(a)];
  const [innerB, p] = transposeB ? [columns(b), rows(b)] : [rows(b), columns(b)];
  if (inner !== innerB)
    throw shapeError("matmul", `inner sizes ${inner} and ${innerB} differ`, a.shape, b.shape);
  if (rank === 3 && a.shape[0] !== b.shape[0])
    throw shapeError("matmul", "batch sizes differ", a.shape, b.shape);
  const shape = [...a.shape.slice(0, rank - 2), m, p];

  return addOp({
    op: "matmul",
    inputs: [a, b],
    shape,
    emit: (onnx, { inputs, outputs }) => {
      const [transA, transB] = [Number(transposeA), Number(transposeB)];
      if (!transposeA && !transposeB) onnx.node("MatMul", inputs, outputs);
      else if (rank === 2) onnx.node("Gemm", inputs, outputs, { transA, transB });
      else onnx.node("FusedMatMul", inputs, outputs, { transA, transB }, "com.microsoft");
    },
    gradient: (dy, ops) => [
      transposeA
        ? ops.matmul(b, dy, { transposeA: transposeB, transposeB: true })
        : ops.matmul(dy, b, { transposeB: !transposeB }),
      transposeB
        ? ops.matmul(dy, a, { transposeA: true, transposeB: transposeA })
        : ops.matmul(a, dy, { transposeA: !transposeA }),
    ],
    tfjs: (tf, [x, y]) => tf.matMul(x!, y!, transposeA, transposeB),
    flops: (n) => 2 * elementCount([...shape, inner], n),
  });
}
