import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { scales } from "./scales.fixture.ts";
import { type ConfigKind, VersionStore } from "./version-store.ts";

const folded: ConfigKind<string> = {
  kind: "folded",
  parse: (text) => text.trim(),
  checksum: (text) => `f-${text}`,
};

let directory = "";
let store: VersionStore;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "roost-versions-"));
  store = new VersionStore(directory, [scales, folded]);
});
afterEach(async () => {
  await store.close();
  rmSync(directory, { recursive: true });
});

const put = (text: string) => store.put("scales", text, "a.yaml", 1);
const move = (from: string | null, to: string, by = "me", nowMs = 2) =>
  store.move({ kind: "scales", name: "main", from, to, by, nowMs });

test("a text is kept once under the SHA-256 of its bytes and resolves to them", async () => {
  const checksum = await put("a: 1");
  // `printf 'a: 1' | sha256sum`
  expect(checksum).toBe("16c3c6d78678d53d39ab2c7a5a7bc4596567b46a1a57000a2d707334f779b824");
  expect(await store.put("scales", "a: 1", "b.yaml", 9)).toBe(checksum);
  expect(store.resolve(checksum)).toEqual({
    kind: "scales",
    checksum,
    text: "a: 1",
    path: "a.yaml",
    created_ms: 1,
  });
});

test("a kind may name its content itself; the first text of a checksum stays", async () => {
  expect(await store.put("folded", "x\n", "a", 1)).toBe("f-x");
  expect(await store.put("folded", " x", "b", 2)).toBe("f-x");
  expect(store.resolve("f-x")?.text).toBe("x\n");
});

test("an invalid text is refused with all its problems and not kept", async () => {
  await expect(put("a: x\nb: 1\nc")).rejects.toThrow(/a\.yaml: a: x\na\.yaml: c$/);
  await expect(store.put("nothing", "", "", 1)).rejects.toMatchObject({ code: "NOT_FOUND" });
  expect(store.list()).toEqual([]);
});

test("a pointer moves only from what the mover saw, and every move leaves an audit line", async () => {
  const [a, b] = [await put("a: 1"), await put("a: 2")];
  expect(await move(null, a, "ann", 10)).toEqual({ checksum: a, revision: 1 });
  await expect(move(null, b)).rejects.toMatchObject({ code: "VERSION_CONFLICT", status: 409 });
  await expect(move(b, b)).rejects.toMatchObject({ code: "VERSION_CONFLICT" });
  expect(await move(a, b, "bob", 20)).toEqual({ checksum: b, revision: 2 });
  expect(await move(b, a, "ann", 30)).toEqual({ checksum: a, revision: 3 });
  expect(store.audit("scales", "main")).toEqual([
    { kind: "scales", name: "main", revision: 1, from: null, to: a, by: "ann", at_ms: 10 },
    { kind: "scales", name: "main", revision: 2, from: a, to: b, by: "bob", at_ms: 20 },
    { kind: "scales", name: "main", revision: 3, from: b, to: a, by: "ann", at_ms: 30 },
  ]);
  expect(store.audit("scales", "main2")).toEqual([]);
});

test("of twenty moves from one version at once exactly one succeeds", async () => {
  const first = await put("a: 0");
  await move(null, first);
  const targets = await Promise.all(Array.from({ length: 20 }, (_, i) => put(`a: ${i + 1}`)));
  const outcomes = await Promise.allSettled(targets.map((to) => move(first, to)));
  const won = outcomes.flatMap((outcome, i) =>
    outcome.status === "fulfilled" ? [targets[i]] : [],
  );
  expect(won).toHaveLength(1);
  expect(store.current("scales", "main")).toEqual({ checksum: won[0], revision: 2 });
  expect(store.audit("scales", "main")).toHaveLength(2);
});

test("nothing can be put in force that is not kept, is of another kind or has no proper name", async () => {
  const other = await store.put("folded", "x", "a", 1);
  await expect(move(null, "f".repeat(64))).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(move(null, other)).rejects.toMatchObject({ code: "NOT_FOUND" });
  const to = await put("a: 1");
  for (const name of ["", "../x", "a/b", "\0", "x".repeat(300)]) {
    await expect(
      store.move({ kind: "scales", name, from: null, to, by: "me", nowMs: 1 }),
    ).rejects.toMatchObject({ code: "BAD_ARGUMENT" });
    expect(store.current("scales", name)).toBeUndefined();
    expect(store.resolve(name)).toBeUndefined();
  }
});

test("pointers, versions and audit lines outlive a restart", async () => {
  const [a, b] = [await put("a: 1"), await put("a: 2")];
  await move(null, a);
  await move(a, b);
  await store.close();
  store = new VersionStore(directory, [scales, folded]);
  expect(store.current("scales", "main")).toEqual({ checksum: b, revision: 2 });
  expect(store.resolve(a)?.text).toBe("a: 1");
  expect(store.audit("scales", "main")).toHaveLength(2);
  await expect(move(a, a)).rejects.toMatchObject({ code: "VERSION_CONFLICT" });
});
