import type { Random } from "../../datasets/random.ts";
import { ops } from "../graph/ops.ts";
import { constant, type Value } from "../graph/value.ts";
import { filled, glorotUniform, type ParameterScope } from "./parameter-set.ts";

export interface MaskNetConfig {
  /** Parallel mask blocks. */
  readonly blocks: number;
  /** Hidden units of each block's mask. */
  readonly maskHidden: number;
  /** Outputs of each block. */
  readonly blockOutput: number;
  /** Layers of the shared trunk over all blocks. */
  readonly trunk: readonly number[];
  /** Hidden units of each head's tower. */
  readonly tower: number;
}

/** What the heads start from and which of them share a tower. */
export interface MaskNetHeads {
  /** Starting logit of each head: the log-odds of its base rate. */
  readonly biases: Float32Array;
  /**
   * Tower of each head, numbered from 0 without gaps; one each by default. Heads with the same number get the same score
   * up to their biases.
   */
  readonly towers?: readonly number[];
}

/**
 * Parallel MaskNet: x [n, d] → logits [n, heads]. `dropout` [n, trunk's last] multiplies what the towers read.
 * Each block is relu(LN(W·(x ⊙ mask))) with mask = W2·relu(W1·x), the blocks are joined, a shared trunk follows, then
 * one small tower a head (or one for several, see `MaskNetHeads`).
 * Source: Wang, She, Zhang (2021), "MaskNet", §3.2–3.4 and fig. 3 (parallel); the-algorithm-ml, recap/model/mask_net.py.
 * Deviations: mask biases start at 1, so that training starts from a plain network; and a linear term over x is added to
 * the logits, which learns a head with few positives sooner than its tower does (Cheng et al. (2016), "Wide & deep").
 */
export function maskNet(
  x: Value,
  config: MaskNetConfig,
  { biases, towers: towerOf = Array.from(biases.keys()) }: MaskNetHeads,
  parameters: ParameterScope,
  random: Random,
  dropout?: Value,
): Value {
  const { blocks, maskHidden, blockOutput } = config;
  const width = x.shape[1] as number;
  const weights = (name: string, shape: readonly number[]): Value =>
    parameters.add(name, shape, glorotUniform(random));
  const bias = (name: string, size: number, value = 0): Value =>
    parameters.add(name, [size], filled(value));

  // The first mask layer of all blocks is one matrix product; each column belongs to one block.
  const hidden = ops.relu(
    ops.add(
      ops.matmul(x, weights("mask_in", [width, blocks * maskHidden])),
      bias("mask_in_bias", blocks * maskHidden),
    ),
  ); // [n, blocks · maskHidden]
  const pieces = ops.split(hidden, Array(blocks).fill(maskHidden), 1);
  const outputs = pieces.map((piece, b) => {
    const mask = ops.add(
      ops.matmul(piece, weights(`mask_out_${b}`, [maskHidden, width])),
      bias(`mask_out_bias_${b}`, width, 1),
    ); // [n, width]
    const mixed = ops.matmul(ops.mul(x, mask), weights(`block_${b}`, [width, blockOutput]));
    const normal = ops.layerNorm(
      mixed,
      bias(`block_scale_${b}`, blockOutput, 1),
      bias(`block_shift_${b}`, blockOutput),
    );
    return ops.relu(normal); // [n, blockOutput]
  });
  let shared = ops.concat(outputs, 1); // [n, blocks · blockOutput]
  config.trunk.forEach((size, layer) => {
    const from = shared.shape[1] as number;
    shared = ops.relu(
      ops.add(
        ops.matmul(shared, weights(`trunk_${layer}`, [from, size])),
        bias(`trunk_bias_${layer}`, size),
      ),
    );
  });
  if (dropout) shared = ops.mul(shared, dropout);
  const heads = biases.length;
  const count = 1 + Math.max(...towerOf);
  const deep = towers(shared, config.tower, count, parameters, random);
  const wide = ops.matmul(x, parameters.add("wide", [width, count], filled(0)));
  const scores = ops.add(deep, wide); // [n, towers]
  const logits = count === heads ? scores : ops.matmul(scores, spread(towerOf, count)); // [n, heads]
  return ops.add(
    logits,
    parameters.add("head_bias", [heads], (data) => data.set(biases)),
  );
}

/** The constant [towers, heads] that hands each head its tower's score. */
function spread(towerOf: readonly number[], count: number): Value {
  const heads = towerOf.length;
  const matrix = new Float32Array(count * heads);
  towerOf.forEach((tower, head) => {
    matrix[tower * heads + head] = 1;
  });
  return constant(matrix, [count, heads]);
}

/**
 * Towers, relu(W·x) then a weighted sum, as two wide products: the first layers of all side by side, the second a
 * block-diagonal matrix.
 */
function towers(
  x: Value,
  size: number,
  count: number,
  parameters: ParameterScope,
  random: Random,
): Value {
  const from = x.shape[1] as number;
  const wide = count * size;
  const hidden = ops.relu(
    ops.add(
      ops.matmul(
        x,
        parameters.add("tower_in", [from, wide], (data) => glorotUniform(random)(data, from, size)),
      ),
      parameters.add("tower_in_bias", [wide], filled(0)),
    ),
  ); // [n, towers · size]
  const diagonal = new Float32Array(wide * count);
  for (let unit = 0; unit < wide; unit++) diagonal[unit * count + Math.floor(unit / size)] = 1;
  const outWeights = parameters.add("tower_out", [wide, 1], (data) =>
    glorotUniform(random)(data, size, 1),
  );
  const out = ops.mul(outWeights, constant(diagonal, [wide, count])); // [towers · size, towers]
  return ops.matmul(hidden, out);
}
