import { abs } from "./ops/abs.ts";
import { add } from "./ops/add.ts";
import { bceWithLogits } from "./ops/bce-with-logits.ts";
import { clip } from "./ops/clip.ts";
import { concat } from "./ops/concat.ts";
import { div } from "./ops/div.ts";
import { equal } from "./ops/equal.ts";
import { exp } from "./ops/exp.ts";
import { expandLike } from "./ops/expand-like.ts";
import { eyeLike } from "./ops/eye-like.ts";
import { gather } from "./ops/gather.ts";
import { isNan } from "./ops/is-nan.ts";
import { layerNorm } from "./ops/layer-norm.ts";
import { log } from "./ops/log.ts";
import { logSoftmax } from "./ops/log-softmax.ts";
import { matmul } from "./ops/matmul.ts";
import { mul } from "./ops/mul.ts";
import { neg } from "./ops/neg.ts";
import { notZero } from "./ops/not-zero.ts";
import { pad } from "./ops/pad.ts";
import { pow } from "./ops/pow.ts";
import { reduceMean } from "./ops/reduce-mean.ts";
import { reduceSum } from "./ops/reduce-sum.ts";
import { relu } from "./ops/relu.ts";
import { reshape } from "./ops/reshape.ts";
import { scatterAdd } from "./ops/scatter-add.ts";
import { sigmoid } from "./ops/sigmoid.ts";
import { sign } from "./ops/sign.ts";
import { size } from "./ops/size.ts";
import { slice } from "./ops/slice.ts";
import { softmax } from "./ops/softmax.ts";
import { softplus } from "./ops/softplus.ts";
import { split } from "./ops/split.ts";
import { sqrt } from "./ops/sqrt.ts";
import { square } from "./ops/square.ts";
import { stopGradient } from "./ops/stop-gradient.ts";
import { sub } from "./ops/sub.ts";
import { sumTo } from "./ops/sum-to.ts";
import { tanh } from "./ops/tanh.ts";
import { toFloat } from "./ops/to-float.ts";
import { transpose } from "./ops/transpose.ts";
import { where } from "./ops/where.ts";

/** Every op of the graph, by name. A new op is one file in `ops/`, one line here and its cases in `ops.test.ts`. */
export const ops = {
  abs,
  add,
  bceWithLogits,
  clip,
  concat,
  div,
  equal,
  exp,
  expandLike,
  eyeLike,
  gather,
  isNan,
  layerNorm,
  logSoftmax,
  log,
  matmul,
  mul,
  neg,
  notZero,
  pad,
  pow,
  reduceMean,
  reduceSum,
  relu,
  reshape,
  scatterAdd,
  sigmoid,
  sign,
  size,
  slice,
  softmax,
  softplus,
  split,
  sqrt,
  square,
  stopGradient,
  sub,
  sumTo,
  tanh,
  toFloat,
  transpose,
  where,
};

export type Ops = typeof ops;
