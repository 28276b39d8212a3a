import { expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import { choleskySolve, factorise, implicitAls } from "./implicit-als.ts";
import { interactionsOf, NOW_MS, twoTastes } from "./interactions.fixture.ts";
import type { Interactions } from "./interactions.ts";

const OPTIONS = { dimensions: 4, iterations: 6, alpha: 3, regularisation: 0.5, seed: 1 };

/** The loss over all cells, entries or not. */
function loss(x: Interactions, factors: ReturnType<typeof factorise>): number {
  const { users, posts, dimensions: d } = factors;
  let sum = 0;
  for (let u = 0; u < x.userIds.length; u++) {
    const weight = new Map<number, number>();
    for (let e = x.starts[u] as number; e < (x.starts[u + 1] as number); e++)
      weight.set(x.posts[e] as number, x.weights[e] as number);
    for (let i = 0; i < x.postIds.length; i++) {
      let score = 0;
      for (let j = 0; j < d; j++)
        score += (users[u * d + j] as number) * (posts[i * d + j] as number);
      const entry = weight.get(i);
      const confidence = 1 + OPTIONS.alpha * (entry ?? 0);
      sum += confidence * ((entry === undefined ? 0 : 1) - score) ** 2;
    }
  }
  for (const value of [...users, ...posts]) sum += OPTIONS.regularisation * value ** 2;
  return sum;
}

test("Cholesky solves positive definite systems", () => {
  const draw = random(2, "cholesky");
  for (const d of [1, 2, 5, 12]) {
    const root = Float64Array.from({ length: d * d }, () => draw.normal());
    const at = (i: number, j: number): number => {
      let sum = i === j ? 0.1 : 0;
      for (let k = 0; k < d; k++) sum += (root[i * d + k] as number) * (root[j * d + k] as number);
      return sum;
    };
    const solution = Float64Array.from({ length: d }, () => draw.normal());
    const matrix = Float64Array.from({ length: d * d }, (_, c) => at(Math.floor(c / d), c % d));
    const right = Float64Array.from({ length: d }, (_, i) =>
      solution.reduce((sum, value, j) => sum + at(i, j) * value, 0),
    );
    choleskySolve(matrix, right, d);
    for (let i = 0; i < d; i++) expect(right[i]).toBeCloseTo(solution[i] as number, 6);
  }
});

test("every iteration lowers the loss over all cells, and the last posts are at a minimum of it", () => {
  const x = interactionsOf(twoTastes(4, { users: 20, posts: 16 }).events);
  const losses = [1, 2, 4, 8].map((iterations) =>
    loss(x, factorise(x, { ...OPTIONS, iterations })),
  );
  for (let i = 1; i < losses.length; i++) expect(losses[i]).toBeLessThan(losses[i - 1] as number);
  // Posts were solved last: their gradient is 0, seen by differences.
  const factors = factorise(x, OPTIONS);
  const step = 1e-4;
  for (let at = 0; at < factors.posts.length; at += 7) {
    const moved = (by: number): number => {
      const posts = factors.posts.slice();
      posts[at] = (posts[at] as number) + by;
      return loss(x, { ...factors, posts });
    };
    expect((moved(step) - moved(-step)) / (2 * step)).toBeCloseTo(0, 4);
  }
});

test("a viewer is given posts of the viewer's own taste, an unknown one what fits the most", () => {
  const { events, half } = twoTastes(8);
  const x = interactionsOf(events);
  const recommender = implicitAls(x, { ...OPTIONS, dimensions: 2 });
  let own = 0;
  for (const user of x.userIds) {
    const seen = x.seen.get(user) as ReadonlySet<string>;
    const found = recommender.recommend(user, NOW_MS, 5, seen);
    for (const post of found) expect(seen.has(post)).toBe(false);
    own += found.filter((post) => half(post) === (Number(user) - 1) % 2).length / found.length;
  }
  expect(own / x.userIds.length).toBeGreaterThan(0.9);
  expect(recommender.recommend("9999", NOW_MS, 3, new Set())).toHaveLength(3);
});

test("the same seed gives the same factors", () => {
  const x = interactionsOf(twoTastes(6).events);
  expect(factorise(x, OPTIONS)).toEqual(factorise(x, OPTIONS));
  expect(factorise(x, { ...OPTIONS, seed: 2 }).posts).not.toEqual(factorise(x, OPTIONS).posts);
});
