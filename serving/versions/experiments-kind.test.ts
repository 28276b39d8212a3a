import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { PARAMS } from "../params.ts";
import { EXPERIMENTS_KIND } from "./experiments-kind.ts";

const demo = readFileSync(new URL("../experiments/demo.yaml", import.meta.url), "utf8");
const { parse, checksum } = EXPERIMENTS_KIND;
const sum = (text: string): string => checksum?.(parse(text, "e.yaml")) as string;

test("the demo's experiments are valid and their arms override weights", () => {
  const { experiments } = parse(demo, "demo.yaml");
  expect(experiments.map(({ experiment }) => experiment.key)).toEqual(["reply-weight"]);
});

test("no experiments at all are valid, written in any of the ways of writing nothing", () => {
  for (const text of ["{}", "", "# nothing yet\n", "experiments: []"])
    expect(parse(text, "e.yaml").experiments).toEqual([]);
});

test("the checksum is of the content: comments and the order of keys do not change it, a weight does", () => {
  const other = demo
    .replaceAll(/#.*$/gm, "")
    .replace("reply: 1, favorite: 2", "favorite: 2, reply: 1");
  expect(other).not.toBe(demo);
  expect(sum(other)).toBe(sum(demo));
  expect(sum(demo.replace("favorite: 2", "favorite: 3"))).not.toBe(sum(demo));
});

test("every ranking parameter may be overridden inside its range, and nothing else", () => {
  const withParameters = (parameters: string): string =>
    `experiments:\n  - key: e\n    status: running\n    hashAttribute: user_id\n    variations:\n      - { key: a, weight: 0.5 }\n      - { key: b, weight: 0.5, parameters: ${parameters} }\n`;
  for (const [name, { min, max }] of Object.entries(PARAMS)) {
    expect(() => parse(withParameters(`{ ${name}: ${min} }`), "e"), name).not.toThrow();
    expect(() => parse(withParameters(`{ ${name}: ${max} }`), "e"), name).not.toThrow();
    expect(() => parse(withParameters(`{ ${name}: ${max + 1} }`), "e"), name).toThrow(name);
  }
  expect(() => parse(withParameters("{ shoe_size: 1 }"), "e")).toThrow(/shoe_size/);
  expect(() => parse(withParameters("{ heavy_limit: 1.5 }"), "e")).toThrow(/heavy_limit/);
});

test("problems name the file once, and say what the error means once", () => {
  const bad = demo
    .replace("reply: 1", "replies: 1")
    .replace("id: ranking-weights, ranges", "id: none, ranges");
  const message = (text: string): string => {
    try {
      parse(text, "edited.yaml");
      return "";
    } catch (error) {
      return (error as Error).message;
    }
  };
  expect(message(bad)).toMatch(/replies/);
  expect(message(bad)).toMatch(/none/);
  expect(message(bad).match(/edited\.yaml/g)).toHaveLength(1);
  expect(message(bad).match(/is not valid/g)).toHaveLength(1);
  expect(message("experiments: [")).toMatch(/^a setting .*edited\.yaml: /);
  expect(message("experiments: 1\nexperiments: 2")).toMatch(/unique/);
});
