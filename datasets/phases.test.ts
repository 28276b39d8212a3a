import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { expect, test } from "vitest";
import { during, PHASE_CHANNEL, type PhaseMark } from "./phases.ts";

test("a listener hears a step begin and end around its work, also when it fails; the result is the step's", async () => {
  const heard: string[] = [];
  const listen = (message: unknown): void => {
    const { phase, begins } = message as PhaseMark;
    heard.push(`${begins ? "+" : "-"}${phase}`);
  };
  subscribe(PHASE_CHANNEL, listen);
  try {
    const work = async (): Promise<number> => heard.push("work");
    expect(await during("append", work)).toBe(2);
    await expect(during("apply", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  } finally {
    unsubscribe(PHASE_CHANNEL, listen);
  }
  expect(heard).toEqual(["+append", "work", "-append", "+apply", "-apply"]);
  expect(await during("append", async () => 7)).toBe(7);
  expect(heard).toHaveLength(5);
});
