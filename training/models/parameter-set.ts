import type { Random } from "../../datasets/random.ts";
import { RoostError } from "../../errors.ts";
import { elementCount, sameShape } from "../graph/shape.ts";
import { parameter, type Value } from "../graph/value.ts";

/** Fills a new parameter. `fanIn` and `fanOut` are the sizes of its last two axes. */
export type Initialiser = (data: Float32Array, fanIn: number, fanOut: number) => void;

/** Uniform in ±√(6/(fan in + fan out)). Source: Glorot and Bengio (2010), eq. 16. */
export function glorotUniform(random: Random): Initialiser {
  return (data, fanIn, fanOut) => {
    const bound = Math.sqrt(6 / (fanIn + fanOut));
    for (let i = 0; i < data.length; i++) data[i] = bound * (2 * random.next() - 1);
  };
}

export function filled(value: number): Initialiser {
  return (data) => data.fill(value);
}

/** Where a network's parameters are made. */
export type ParameterScope = Pick<ParameterSet, "add">;

/** What a model is made of besides its graph: each parameter's value in the graph and its weights now. */
export class ParameterSet {
  readonly #values = new Map<string, Value>();
  readonly weights = new Map<string, Float32Array>();

  /**
   * The parameter of this name, made on first use: the training and the inference graph of a model are built by the same
   * code and share their parameters. @throws GRAPH_SHAPE when it is there with another shape.
   */
  add(name: string, shape: readonly number[], initialise: Initialiser): Value {
    const known = this.#values.get(name);
    if (known) {
      if (sameShape(known.shape, shape)) return known;
      throw new RoostError("GRAPH_SHAPE", `parameter ${name} has two shapes`);
    }
    const data = new Float32Array(elementCount(shape, 0));
    initialise(data, shape.at(-2) ?? 1, shape.at(-1) ?? 1);
    this.weights.set(name, data);
    const value = parameter(name, shape);
    this.#values.set(name, value);
    return value;
  }

  /** The same set with `prefix` before every name: a second network of the same form has parameters of its own. */
  under(prefix: string): ParameterScope {
    return { add: (name, shape, initialise) => this.add(`${prefix}${name}`, shape, initialise) };
  }

  get values(): readonly Value[] {
    return [...this.#values.values()];
  }

  /** Name and shape of each parameter, in the order of `values`. */
  get list(): readonly { readonly name: string; readonly shape: readonly number[] }[] {
    return [...this.#values].map(([name, { shape }]) => ({ name, shape: shape as number[] }));
  }

  /** Number of trained scalars. */
  get count(): number {
    return [...this.weights.values()].reduce((sum, data) => sum + data.length, 0);
  }
}
