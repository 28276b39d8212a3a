import fc from "fast-check";
import { expect, test } from "vitest";
import { queryOf, verdicts } from "../pipeline/home.fixture.ts";
import { mutedKeyword } from "./muted-keyword.ts";
import { foldCase, tokenize } from "./tokens.ts";

/** Whether a post with this text is dropped for a viewer who muted these phrases. */
const mutes = (mutedKeywords: string | string[], text: string): boolean => {
  const query = queryOf({ mutedKeywords: [mutedKeywords].flat() });
  return verdicts(mutedKeyword(), query, [{ post_id: "1", text }])[0] !== true;
};

test("a phrase is muted as a sequence of whole words", () => {
  expect(mutes("red car", "My Red, car!")).toBe(true);
  expect(mutes("red car", "car red")).toBe(false);
  expect(mutes("red car", "red fast car")).toBe(false);
  expect(mutes("red car", "red red car")).toBe(true);
  expect(mutes("car", "scary carpet, cars")).toBe(false);
  expect(mutes("car", "")).toBe(false);
});

test("case, width and form of letters do not matter", () => {
  expect(mutes("STRASSE", "an der Straße")).toBe(true);
  expect(mutes("οδος", "ΟΔΟΣ")).toBe(true);
  expect(mutes("café", "cafe\u0301!")).toBe(true);
  expect(mutes("ﬁne", "a FINE day")).toBe(true);
  expect(mutes("hello", "ｈｅｌｌｏ")).toBe(true);
  expect(mutes("don't", "I don’t know")).toBe(true);
  expect(mutes("don", "I don’t know")).toBe(false);
});

test("a muted word also mutes its hashtag, a muted hashtag or mention only itself", () => {
  expect(mutes("football", "so much #Football")).toBe(true);
  expect(mutes("#football", "so much #Football")).toBe(true);
  expect(mutes("#football", "so much football")).toBe(false);
  expect(mutes("@ann", "hello @ann")).toBe(true);
  expect(mutes("ann", "hello @ann")).toBe(false);
  expect(mutes("foot", "#football")).toBe(false);
});

test("scripts without spaces are searched sign by sign", () => {
  expect(mutes("東京", "明日東京へ行く")).toBe(true);
  expect(mutes("京東", "明日東京へ行く")).toBe(false);
  expect(mutes("ラーメン", "昼はラーメンです")).toBe(true);
  expect(mutes("กาแฟ", "ดื่มกาแฟเช้า")).toBe(true);
  expect(mutes("東京", "楽しい#東京タワー")).toBe(true);
});

test("spaced scripts beyond Latin are split into words", () => {
  expect(mutes("кот", "Мой Кот спит")).toBe(true);
  expect(mutes("кот", "который")).toBe(false);
  expect(mutes("नमस्ते", "अरे नमस्ते!")).toBe(true);
  expect(mutes("서울", "서울 여행")).toBe(true);
});

test("emoji can be muted, with or without their presentation mark", () => {
  expect(mutes("🍕", "dinner🍕!")).toBe(true);
  expect(mutes("❤", "I ❤️ it")).toBe(true);
  expect(mutes("👩‍🚀", "a 👩‍🚀 flew")).toBe(true);
  expect(mutes("👩", "a 👩‍🚀 flew")).toBe(false);
  expect(mutes("🇫🇷", "go 🇫🇷")).toBe(true);
});

test("a phrase without any word mutes nothing", () => {
  expect(mutes(["", "  ", "?!"], "what?! no...")).toBe(false);
});

test("the rule names the phrase as the viewer wrote it", () => {
  const query = queryOf({ mutedKeywords: ["Other", "Red Car"] });
  expect(verdicts(mutedKeyword(), query, [{ post_id: "1", text: "red car" }])).toEqual([
    "muted: Red Car",
  ]);
});

test("it runs only for viewers who muted something", () => {
  expect(mutedKeyword().enabled?.(queryOf())).toBe(false);
  expect(mutedKeyword().enabled?.(queryOf({ mutedKeywords: ["x"] }))).toBe(true);
});

test("the quick look at a phrase's first word never hides a match of the whole token sequence", () => {
  const word = fc.constantFrom("a", "b", "ab", "#a", "@b", "東", "É", "ß", "🍕", "don't", "_");
  const text = fc
    .array(fc.tuple(word, fc.constantFrom(" ", "", ", ", "!")))
    .map((parts) => parts.flat().join(""));
  fc.assert(
    fc.property(text, fc.array(word, { minLength: 1, maxLength: 3 }), (said, words) => {
      const phrase = words.join(" ");
      const tokens = tokenize(foldCase(said));
      const wanted = tokenize(foldCase(phrase));
      const expected = tokens.some((_, start) =>
        wanted.every((token, i) => {
          const found = tokens[start + i];
          return found === token || found === `#${token}`;
        }),
      );
      expect(mutes(phrase, said)).toBe(expected && wanted.length > 0);
    }),
    { numRuns: 500 },
  );
});
