import { textAt, textColumn } from "../pipeline/candidate-table.ts";
import type { HomeQuery } from "../pipeline/home-query.ts";
import type { Filter } from "../pipeline/stages.ts";
import { foldCase, tokenize } from "./tokens.ts";

/**
 * Drops posts whose text holds one of the viewer's muted phrases as a sequence of whole words. Reads `text`.
 * Case, width and form of letters do not matter. A muted word also mutes its hashtag; `#word` mutes the hashtag
 * only, as `@name` does the mention.
 */
export function mutedKeyword(): Filter<HomeQuery> {
  return {
    name: "muted_keyword",
    timeoutMs: 0,
    onFailure: "closed",
    enabled: (query) => query.mutedKeywords.length > 0,
    keep: (query, table) => {
      const muting = mutingOf(query.mutedKeywords);
      const texts = textColumn(table, "text");
      return (row) => muting(textAt(texts, row)) ?? true;
    },
  };
}

/** Tells the rule under which a text is muted by these phrases; undefined = by none. */
export function mutingOf(keywords: readonly string[]): (text: string) => string | undefined {
  const phrases = keywords
    .map((keyword) => ({ keyword, tokens: tokenize(foldCase(keyword)) }))
    .filter(({ tokens }) => tokens.length > 0)
    .map(({ keyword, tokens }) => ({ tokens, rule: `muted: ${keyword}` }));
  return (written) => {
    const text = foldCase(written);
    let tokens: string[] | undefined;
    for (const phrase of phrases) {
      // Most texts hold no part of the phrase at all, and looking for one is cheaper than splitting into words.
      if (!text.includes(phrase.tokens[0] as string)) continue;
      tokens ??= tokenize(text);
      if (holds(tokens, phrase.tokens)) return phrase.rule;
    }
    return undefined;
  };
}

function holds(tokens: readonly string[], phrase: readonly string[]): boolean {
  for (let start = 0; start + phrase.length <= tokens.length; start++) {
    let matched = 0;
    while (
      matched < phrase.length &&
      same(tokens[start + matched] as string, phrase[matched] as string)
    )
      matched++;
    if (matched === phrase.length) return true;
  }
  return false;
}

function same(token: string, wanted: string): boolean {
  return token === wanted || (token.startsWith("#") && token.slice(1) === wanted);
}
