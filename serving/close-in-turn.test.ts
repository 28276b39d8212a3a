import { expect, test } from "vitest";
import { closeInTurn } from "./close-in-turn.ts";

test("what was opened last is closed first, once, and a failure keeps nothing open", async () => {
  const closed: string[] = [];
  const opened = [
    () => closed.push("lock"),
    async () => {
      throw new Error("disk full");
    },
    () => {
      closed.push("log");
      throw new Error("later");
    },
    () => closed.push("server"),
  ];
  await expect(closeInTurn(opened)).rejects.toThrow("later");
  expect(closed).toEqual(["server", "log", "lock"]);
  await closeInTurn(opened);
  expect(closed).toHaveLength(3);
});
