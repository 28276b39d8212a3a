import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  type Alias,
  type AliasFile,
  championLine,
  type Move,
  moveAlias,
  readAliases,
} from "./aliases.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "roost-aliases-"));
});
afterEach(() => rm(dir, { recursive: true }));

const version = (n: number): string => n.toString(16).padStart(16, "0");
const move = (n: number, action: Move["action"] = "promote", alias: Alias = "champion") =>
  moveAlias(dir, async () => ({ at_ms: n, alias, action, to: version(n) }));

test("a stage without an alias file points nowhere", async () => {
  const nothing = { format: 1, champion: null, challenger: null, history: [] };
  expect(await readAliases(dir)).toEqual(nothing);
  expect(await readAliases(join(dir, "none"))).toEqual(nothing);
});

test("every move is kept with where it came from, and nothing else stays in the directory", async () => {
  await move(1, "train");
  await move(2, "promote", "challenger");
  await moveAlias(dir, async () => ({
    at_ms: 3,
    alias: "champion",
    action: "promote",
    to: version(3),
    reason: "the log was cut",
  }));
  const read = await readAliases(dir);
  expect([read.champion, read.challenger]).toEqual([version(3), version(2)]);
  expect(read.history.map(({ from, to }) => [from, to])).toEqual([
    [null, version(1)],
    [null, version(2)],
    [version(1), version(3)],
  ]);
  expect(read.history[2]?.reason).toBe("the log was cut");
  expect(await readdir(dir)).toEqual(["aliases.json"]);
});

test("a challenger that becomes champion is no challenger any more", async () => {
  await move(1);
  await move(2, "promote", "challenger");
  await move(2);
  expect(await readAliases(dir)).toMatchObject({ champion: version(2), challenger: null });
});

test("a move that is refused or not wanted changes nothing", async () => {
  await move(1);
  const before = await readAliases(dir);
  await expect(
    moveAlias(dir, async () => {
      throw new Error("no");
    }),
  ).rejects.toThrow("no");
  await moveAlias(dir, async () => undefined);
  expect(await readAliases(dir)).toEqual(before);
  expect(await readdir(dir)).toEqual(["aliases.json"]);
});

test("of many movers at once none is lost, and a reader sees whole files only", async () => {
  let moving = true;
  const reader = (async () => {
    while (moving) {
      const { champion, history } = await readAliases(dir);
      expect(champion).toBe(history.at(-1)?.to ?? null);
    }
  })();
  await Promise.all(Array.from({ length: 12 }, (_, i) => move(i + 1)));
  moving = false;
  await reader;
  const { history } = await readAliases(dir);
  expect(history.map(({ at_ms }) => at_ms).sort((a, b) => a - b)).toEqual(
    Array.from({ length: 12 }, (_, i) => i + 1),
  );
  for (const [i, { from }] of history.entries()) expect(from).toBe(history[i - 1]?.to ?? null);
});

test.each([
  ["no JSON", "{", /JSON/],
  ["another format", '{"format":2}', /format/],
  [
    "a path for a version",
    '{"format":1,"champion":"../../x","challenger":null,"history":[]}',
    /champion/,
  ],
])("an alias file that is %s is refused by its path", async (_, text, named) => {
  await writeFile(join(dir, "aliases.json"), text);
  const refusal = expect(readAliases(dir)).rejects;
  await refusal.toMatchObject({ code: "BAD_BUNDLE", message: expect.stringMatching(named) });
  await expect(readAliases(dir)).rejects.toThrow(join(dir, "aliases.json"));
});

test("promotions lengthen the line of champions, a rollback shortens it; challengers do not count", () => {
  const line = (...moves: [Move["action"], Alias, number][]): string[] =>
    championLine({
      history: moves.map(([action, alias, n]) => ({
        at_ms: 0,
        alias,
        action,
        from: null,
        to: version(n),
      })),
    } as unknown as AliasFile);
  const champion = (n: number): [Move["action"], Alias, number] => ["promote", "champion", n];
  const back = (n: number): [Move["action"], Alias, number] => ["rollback", "champion", n];
  expect(line(champion(1), ["promote", "challenger", 9], champion(2), champion(3))).toEqual(
    [1, 2, 3].map(version),
  );
  expect(line(champion(1), champion(2), champion(3), back(2), back(1))).toEqual([version(1)]);
  expect(line(champion(1), champion(2), back(1), champion(4))).toEqual([1, 4].map(version));
  expect(line(champion(1), champion(2), champion(1))).toEqual([1, 2, 1].map(version));
});
