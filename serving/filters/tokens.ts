/** Scripts that write no spaces: each sign is a token, so that a phrase is found inside a run of them. */
const UNSPACED =
  "\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}\\p{Script=Myanmar}";
const LETTER = `(?:(?![${UNSPACED}])[\\p{L}\\p{N}\\p{M}_])`;
/** A word with its sigil and inner apostrophes; one sign of an unspaced script; an emoji with its modifiers. */
const TOKEN = new RegExp(
  `[#@]?${LETTER}+(?:'${LETTER}+)*|[#@]?[${UNSPACED}]\\p{M}*|\\p{Extended_Pictographic}(?:\\p{Emoji_Modifier}|\\u200D\\p{Extended_Pictographic})*|\\p{Regional_Indicator}{2}`,
  "gu",
);
const ASCII = /^[\x20-\x7e\n]*$/;

/**
 * One form for texts that readers take as the same: compatibility form NFKC, full case folding by way of upper case
 * (ß = ss, final ς = σ), straight apostrophes, emoji without their presentation mark.
 */
export function foldCase(text: string): string {
  if (ASCII.test(text)) return text.toLowerCase();
  return text
    .normalize("NFKC")
    .toUpperCase()
    .toLowerCase()
    .replaceAll("ς", "σ")
    .replace(/[\u2018\u2019\u02bc]/g, "'")
    .replaceAll("\uFE0F", "")
    .normalize("NFKC");
}

/** The tokens of a folded text, in order: words, hashtags and mentions with their sigil, emoji. */
export function tokenize(folded: string): string[] {
  return folded.match(TOKEN) ?? [];
}
