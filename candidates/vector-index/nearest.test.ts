import { expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import { Nearest } from "./nearest.ts";

test("it keeps what sorting everything would put first", () => {
  const draws = random(1, "nearest");
  for (const k of [1, 2, 7, 64, 500]) {
    const scores = Float32Array.from({ length: 300 }, () => Math.round(40 * draws.normal()) / 8);
    const nearest = new Nearest(k);
    for (const [item, score] of scores.entries()) nearest.push(item, score);
    const wanted = [...scores].sort((a, b) => b - a).slice(0, k);
    const kept = nearest.sorted();
    expect([...kept.scores]).toEqual(wanted);
    expect(Array.from(kept.items, (item) => scores[item])).toEqual(wanted);
    expect(new Set(kept.items).size).toBe(wanted.length);
  }
});

test("none asked for, none kept", () => {
  const nearest = new Nearest(0);
  nearest.push(1, 5);
  expect(nearest.sorted().items.length).toBe(0);
});
