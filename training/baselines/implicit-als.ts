import { random } from "../../datasets/random.ts";
import { byPost, type Interactions } from "./interactions.ts";
import { type Recommender, topItems } from "./recommender.ts";

export interface ImplicitAlsOptions {
  readonly dimensions: number;
  readonly iterations: number;
  /** Confidence of an entry is 1 + alpha · weight; of all others 1. */
  readonly alpha: number;
  readonly regularisation: number;
  readonly seed: number;
}

export interface AlsFactors {
  readonly dimensions: number;
  /** [users, dimensions] and [posts, dimensions]. */
  readonly users: Float64Array;
  readonly posts: Float64Array;
}

/** Entries of one row of the interaction matrix: columns and confidences − 1. */
type Row = (row: number, each: (column: number, extra: number) => void) => void;

/**
 * Implicit matrix factorisation by alternating least squares: minimises Σ_ui c_ui (p_ui − x_uᵀ y_i)² +
 * λ(Σ‖x_u‖² + Σ‖y_i‖²), p = 1 where there is an entry, c = 1 + α·weight. Each row's normal equations are solved exactly
 * by Cholesky decomposition.
 * Source: Hu, Koren, Volinsky (2008), "Collaborative filtering for implicit feedback datasets", equations 3–5.
 */
export function factorise(interactions: Interactions, options: ImplicitAlsOptions): AlsFactors {
  const { dimensions: d, iterations, alpha, regularisation, seed } = options;
  const { userIds, postIds, starts, posts, weights } = interactions;
  const columns = byPost(interactions);
  const users = new Float64Array(userIds.length * d);
  const items = new Float64Array(postIds.length * d);
  const draws = random(seed, "als");
  for (let i = 0; i < items.length; i++) items[i] = (0.1 * draws.normal()) / Math.sqrt(d);
  const ofUser: Row = (u, each) => {
    for (let e = starts[u] as number; e < (starts[u + 1] as number); e++)
      each(posts[e] as number, alpha * (weights[e] as number));
  };
  const ofPost: Row = (i, each) => {
    for (let c = columns.starts[i] as number; c < (columns.starts[i + 1] as number); c++)
      each(columns.users[c] as number, alpha * (weights[columns.entries[c] as number] as number));
  };
  for (let iteration = 0; iteration < iterations; iteration++) {
    solveRows(users, items, d, regularisation, ofUser);
    solveRows(items, users, d, regularisation, ofPost);
  }
  return { dimensions: d, users, posts: items };
}

/** Sets each row of `target` to the solution of (YᵀY + Σ (c − 1) y yᵀ + λI) x = Σ c y over the row's entries. */
export function solveRows(
  target: Float64Array,
  fixed: Float64Array,
  d: number,
  regularisation: number,
  rowOf: Row,
): void {
  const gram = new Float64Array(d * d);
  const outer = new OuterProducts(d);
  for (let at = 0; at < fixed.length; at += d) outer.add(gram, fixed, at, 1);
  outer.flush(gram);
  for (let i = 0; i < d; i++) gram[i * d + i]! += regularisation;
  const matrix = new Float64Array(d * d);
  const right = new Float64Array(d);
  for (let row = 0; row * d < target.length; row++) {
    matrix.set(gram);
    right.fill(0);
    rowOf(row, (column, extra) => {
      outer.add(matrix, fixed, column * d, extra);
      for (let i = 0; i < d; i++) right[i]! += (1 + extra) * (fixed[column * d + i] as number);
    });
    outer.flush(matrix);
    choleskySolve(matrix, right, d);
    target.set(right, row * d);
  }
}

/** Sums scale · v vᵀ into a lower triangle, four vectors at a time: the matrix is read and written a quarter as often. */
class OuterProducts {
  readonly #d: number;
  readonly #vectors: Float64Array;
  readonly #scales = new Float64Array(4);
  #waiting = 0;

  constructor(d: number) {
    this.#d = d;
    this.#vectors = new Float64Array(4 * d);
  }

  /** Takes v = vectors[at … at + d); it is in `matrix` after `flush`. */
  add(matrix: Float64Array, vectors: Float64Array, at: number, scale: number): void {
    const into = this.#waiting * this.#d;
    for (let i = 0; i < this.#d; i++) this.#vectors[into + i] = vectors[at + i] as number;
    this.#scales[this.#waiting++] = scale;
    if (this.#waiting === 4) this.flush(matrix);
  }

  flush(matrix: Float64Array): void {
    const d = this.#d;
    const v = this.#vectors;
    const scales = this.#scales.fill(0, this.#waiting);
    this.#waiting = 0;
    for (let i = 0; i < d; i++) {
      const a = (scales[0] as number) * (v[i] as number);
      const b = (scales[1] as number) * (v[d + i] as number);
      const c = (scales[2] as number) * (v[2 * d + i] as number);
      const e = (scales[3] as number) * (v[3 * d + i] as number);
      const row = i * d;
      for (let j = 0; j <= i; j++)
        matrix[row + j] =
          (matrix[row + j] as number) +
          (a * (v[j] as number) +
            b * (v[d + j] as number) +
            c * (v[2 * d + j] as number) +
            e * (v[3 * d + j] as number));
    }
  }
}

/** Solves the positive definite system whose lower triangle is `matrix`, in place: `right` becomes the solution. */
export function choleskySolve(matrix: Float64Array, right: Float64Array, d: number): void {
  for (let i = 0; i < d; i++)
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i * d + j] as number;
      for (let k = 0; k < j; k++)
        sum -= (matrix[i * d + k] as number) * (matrix[j * d + k] as number);
      matrix[i * d + j] = i === j ? Math.sqrt(sum) : sum / (matrix[j * d + j] as number);
    }
  for (let i = 0; i < d; i++) {
    let sum = right[i] as number;
    for (let k = 0; k < i; k++) sum -= (matrix[i * d + k] as number) * (right[k] as number);
    right[i] = sum / (matrix[i * d + i] as number);
  }
  for (let i = d - 1; i >= 0; i--) {
    let sum = right[i] as number;
    for (let k = i + 1; k < d; k++) sum -= (matrix[k * d + i] as number) * (right[k] as number);
    right[i] = sum / (matrix[i * d + i] as number);
  }
}

/** Recommends by x_uᵀ y_i; viewers without an entry get the posts of the largest mean score. */
export function implicitAls(interactions: Interactions, options: ImplicitAlsOptions): Recommender {
  const { users, posts, dimensions: d } = factorise(interactions, options);
  const { userIndex, postIds, userIds } = interactions;
  const mean = new Float64Array(d);
  for (let at = 0; at < users.length; at++) mean[at % d]! += (users[at] as number) / userIds.length;
  const scores = new Float64Array(postIds.length);
  return {
    recommend: (userId, _nowMs, k, exclude) => {
      const user = userIndex.get(userId);
      const taste = user === undefined ? mean : users.subarray(user * d, (user + 1) * d);
      for (let i = 0; i < postIds.length; i++) {
        let score = 0;
        for (let j = 0; j < d; j++) score += (taste[j] as number) * (posts[i * d + j] as number);
        scores[i] = score;
      }
      return topItems(scores, k, (item) => exclude.has(postIds[item] as string)).map(
        (item) => postIds[item] as string,
      );
    },
  };
}
