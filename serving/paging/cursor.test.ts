import { createHmac } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readCursor, signCursor } from "./cursor.ts";
import { cursorSecret } from "./cursor-secret.ts";

const secret = "s".repeat(32);
const owner = { userId: "7", product: "for_you" };
const cursor = { rankingId: "4bf4eb70-d318-4c2f-96ad-50de16e74b88", offset: 20 };
const refused = expect.objectContaining({
  code: "BAD_REQUEST",
  errors: [expect.objectContaining({ pointer: "/cursor" })],
});

test("a cursor is read back by its owner, and is the HMAC-SHA-256 that it says", () => {
  const text = signCursor(cursor, owner, secret);
  expect(readCursor(text, owner, secret)).toEqual(cursor);
  expect(text).toMatch(/^[\w-]+\.[\w-]{43}$/);
  const [body, signature] = text.split(".");
  const bytes = JSON.stringify(["cursor", body, "7", "for_you"]);
  expect(signature).toBe(createHmac("sha256", secret).update(bytes).digest("base64url"));
});

test("a change of any one character is refused, also of bits that decoding ignores", () => {
  const text = signCursor(cursor, owner, secret);
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ ";
  for (let i = 0; i < text.length; i++) {
    for (const char of alphabet) {
      if (char === text[i]) continue;
      const forged = text.slice(0, i) + char + text.slice(i + 1);
      expect(() => readCursor(forged, owner, secret), forged).toThrow(refused);
    }
  }
});

test("what was cut, lengthened, made up or signed otherwise is refused at /cursor", () => {
  const text = signCursor(cursor, owner, secret);
  const [body = ""] = text.split(".");
  const forged = [
    "",
    ".",
    "..",
    "x",
    body,
    `${body}.`,
    `.${text}`,
    `${text}.`,
    `${text}A`,
    `${text}=`,
    ` ${text}`,
    text.slice(0, -1),
    `${Buffer.from('["other",0]').toString("base64url")}.${text.split(".")[1]}`,
    signCursor(cursor, owner, "t".repeat(32)),
    "é".repeat(100),
    "\0",
  ];
  for (const each of forged) expect(() => readCursor(each, owner, secret), each).toThrow(refused);
});

test("a cursor is good for its user and product only", () => {
  const text = signCursor(cursor, owner, secret);
  expect(() => readCursor(text, { ...owner, userId: "8" }, secret)).toThrow(refused);
  expect(() => readCursor(text, { ...owner, product: "following" }, secret)).toThrow(refused);
});

test("the secret is made once, readable by its owner only, and kept", () => {
  const directory = mkdtempSync(join(tmpdir(), "roost-secret-"));
  const dataDir = join(directory, "data");
  const made = cursorSecret(dataDir, (bytes) => Buffer.alloc(bytes, 0xab));
  expect(made).toBe("ab".repeat(32));
  expect(cursorSecret(dataDir, (bytes) => Buffer.alloc(bytes, 0xcd))).toBe(made);
  expect(readdirSync(dataDir)).toEqual(["cursor-secret"]);
  expect(statSync(join(dataDir, "cursor-secret")).mode & 0o777).toBe(0o600);

  const raced = join(directory, "raced");
  let winner = "";
  const loser = cursorSecret(raced, (bytes) => {
    winner = cursorSecret(raced, () => Buffer.alloc(bytes, 1));
    return Buffer.alloc(bytes, 2);
  });
  expect(loser).toBe(winner);
  expect(readdirSync(raced)).toEqual(["cursor-secret"]);

  writeFileSync(join(raced, "cursor-secret"), "short");
  expect(() => cursorSecret(raced)).toThrow(expect.objectContaining({ code: "BAD_CONFIG" }));
  rmSync(directory, { recursive: true });
});
