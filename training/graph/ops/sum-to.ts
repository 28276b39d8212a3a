import { sameShape } from "../shape.ts";
import type { Value } from "../value.ts";
import { reduceSum } from "./reduce-sum.ts";

/** x summed over the axes along which `like` was stretched to x's shape: the gradient of broadcasting. */
export function sumTo(x: Value, like: Value): Value {
  if (sameShape(x.shape, like.shape)) return x;
  const added = x.shape.length - like.shape.length;
  const leading = x.shape.flatMap((_, axis) => (axis < added ? [axis] : []));
  const stretched = like.shape.flatMap((dim, axis) =>
    dim === 1 && x.shape[axis + added] !== 1 ? [axis + added] : [],
  );
  const inner = stretched.length === 0 ? x : reduceSum(x, stretched, true);
  return leading.length === 0 ? inner : reduceSum(inner, leading);
}
