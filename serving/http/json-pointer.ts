/** A JSON pointer from path tokens; `[]` is the whole document. Source: RFC 6901, section 3. */
export function jsonPointer(path: readonly PropertyKey[]): string {
  let pointer = "";
  for (const token of path) {
    pointer += `/${String(token).replaceAll("~", "~0").replaceAll("/", "~1")}`;
  }
  return pointer;
}

/** The path tokens of a JSON pointer, all as strings. Source: RFC 6901, section 4. */
export function pointerPath(pointer: string): string[] {
  return pointer
    .split("/")
    .slice(1)
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}
