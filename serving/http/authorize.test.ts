import { expect, test } from "vitest";
import { authorize } from "./authorize.ts";

const api = "api-token-0123456789";
const operator = "operator-token-0123456789";
const codeOf = (header: string | undefined, tokens: Parameters<typeof authorize>[1]): string => {
  try {
    return authorize(header, tokens);
  } catch (error) {
    return (error as { code: string }).code;
  }
};

test("without tokens everybody is an operator", () => {
  expect(codeOf(undefined, {})).toBe("operator");
  expect(codeOf("Bearer anything", {})).toBe("operator");
});

test("with an operator token alone, callers need none and nobody else is an operator", () => {
  const tokens = { operatorToken: operator };
  expect(codeOf(undefined, tokens)).toBe("caller");
  expect(codeOf(`Bearer ${operator}`, tokens)).toBe("operator");
  expect(codeOf("Bearer wrong", tokens)).toBe("UNAUTHORIZED");
});

test("with both, each token gives its role and anything else is refused", () => {
  const tokens = { apiToken: api, operatorToken: operator };
  expect(codeOf(`Bearer ${api}`, tokens)).toBe("caller");
  expect(codeOf(`bearer ${operator}`, tokens)).toBe("operator");
  for (const header of [undefined, "", "Bearer", `Basic ${api}`, `Bearer ${api}x`, api]) {
    expect(codeOf(header, tokens)).toBe("UNAUTHORIZED");
  }
});

test("with an API token alone, its holder is an operator", () => {
  expect(codeOf(`Bearer ${api}`, { apiToken: api })).toBe("operator");
  expect(codeOf(undefined, { apiToken: api })).toBe("UNAUTHORIZED");
});
