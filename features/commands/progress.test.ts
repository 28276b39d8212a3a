import { expect, test } from "vitest";
import { Progress } from "./progress.ts";

function watched(isTTY: boolean): {
  progress: Progress;
  out: () => string;
  pass(ms: number): void;
} {
  let text = "";
  let now = 0;
  const stream = { isTTY, write: (more: string) => (text += more) } as never as NodeJS.WriteStream;
  return {
    progress: new Progress(stream, () => now),
    out: () => text,
    pass: (ms) => {
      now += ms;
    },
  };
}

test("without a terminal each finished step is one line with its time", () => {
  const { progress, out, pass } = watched(false);
  progress.update("world demo", 0);
  pass(1500);
  progress.update("world demo", 0.5);
  expect(out()).toBe("");
  pass(1000);
  progress.update("features", 0.1);
  pass(200);
  progress.done();
  progress.done();
  expect(out().split("\n")).toEqual([
    expect.stringMatching(/^world demo {15}█{30} 100 % {2}2\.5 s$/),
    expect.stringMatching(/^features {17}█{30} 100 % {2}0\.2 s$/),
    "",
  ]);
});

test("on a terminal the bar is drawn over itself and its fill follows the share, kept within 0–1", () => {
  const { progress, out } = watched(true);
  for (const share of [-1, 0, 0.5, 2]) progress.update("light", share);
  const frames = out().split("\r").slice(1);
  expect(frames.map((frame) => frame.split("█").length - 1)).toEqual([0, 0, 15, 30]);
  expect(frames.map((frame) => /(\d+) %/.exec(frame)?.[1])).toEqual(["0", "0", "50", "100"]);
  expect(out()).not.toContain("\n");
  progress.done();
  expect(out().endsWith(" s\n")).toBe(true);
});
