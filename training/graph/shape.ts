import { RoostError } from "../../errors.ts";

/** One axis: a fixed size, or `"n"`, the number of rows, known only when the graph runs. */
export type Dim = number | "n";
export type Shape = readonly Dim[];
export type DType = "float32" | "int32" | "bool";

/** `[n, 64]`, as errors and docs print a shape. */
export function shapeText(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}

/** Number of elements when the batch has `n` rows. */
export function elementCount(shape: Shape, n: number): number {
  return shape.reduce<number>((product, dim) => product * (dim === "n" ? n : dim), 1);
}

/**
 * The shape that both operands are stretched to: aligned from the right, size 1 stretches.
 * @throws GRAPH_SHAPE when two sizes differ and neither is 1. Source: NumPy's broadcasting rules, which ONNX follows.
 */
export function broadcastShape(op: string, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis): Dim => {
    const left = a[axis - rank + a.length] ?? 1;
    const right = b[axis - rank + b.length] ?? 1;
    if (left === right || right === 1) return left;
    if (left === 1) return right;
    throw shapeError(op, "shapes do not broadcast", a, b);
  });
}

/** An axis counted from the left; negative counts from the right. @throws GRAPH_SHAPE outside the rank. */
export function normalAxis(op: string, shape: Shape, axis: number): number {
  const normal = axis < 0 ? axis + shape.length : axis;
  if (!Number.isInteger(normal) || normal < 0 || normal >= shape.length)
    throw shapeError(op, `axis ${axis} is outside the rank`, shape);
  return normal;
}

/** A GRAPH_SHAPE error naming the op and the shapes that it got. */
export function shapeError(op: string, problem: string, ...shapes: readonly Shape[]): RoostError {
  return new RoostError("GRAPH_SHAPE", `${op} ${shapes.map(shapeText).join(" and ")}: ${problem}`);
}
