import { type FieldError, InvalidRequest } from "./invalid-request.ts";
import { jsonPointer } from "./json-pointer.ts";

/** Our deepest valid body has 4 levels; beyond this nobody means well. */
const MAX_DEPTH = 32;

/** A body that is JSON, and what in it is not I-JSON; the schema's errors come on top. */
export class JsonBody {
  readonly value: unknown;
  readonly errors: readonly FieldError[];

  constructor(value: unknown, errors: readonly FieldError[]) {
    this.value = value;
    this.errors = errors;
  }
}

/**
 * Reads a request body as I-JSON: UTF-8, unique member names, no lone surrogates; no member may be named `__proto__`.
 * JSON.parse alone keeps the last of two equal names, so that a proxy in front could have checked the other one.
 * Source: RFC 8259; RFC 7493, section 2.
 * @throws BAD_REQUEST when it is not JSON at all
 */
export function readJsonBody(bytes: Uint8Array): JsonBody {
  const text = decoded(bytes);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InvalidRequest([{ pointer: "", detail: syntaxDetail(text, error) }]);
  }
  return new JsonBody(value, memberErrors(text));
}

/**
 * Reads lines of I-JSON as an array of what each holds; blank lines are passed over. A line that is not JSON is an error
 * at its place, with nothing there.
 * Source: NDJSON 1.0 (ndjson-spec), sections 3.1–3.2.
 * @throws BAD_REQUEST when it is not UTF-8
 */
export function readJsonLines(bytes: Uint8Array): JsonBody {
  const values: unknown[] = [];
  const errors: FieldError[] = [];
  for (const line of decoded(bytes).split("\n")) {
    if (line.trim() === "") continue;
    const place = jsonPointer([values.length]);
    try {
      values.push(JSON.parse(line));
    } catch (error) {
      values.push(undefined);
      errors.push({ pointer: place, detail: syntaxDetail(line, error) });
      continue;
    }
    for (const { pointer, detail } of memberErrors(line))
      errors.push({ pointer: place + pointer, detail });
  }
  return new JsonBody(values, errors);
}

function decoded(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new InvalidRequest([{ pointer: "", detail: "is not UTF-8" }]);
  }
}

function syntaxDetail(text: string, error: unknown): string {
  if (text.trim() === "") return "is empty; JSON is expected";
  const message = error instanceof Error ? error.message : "";
  if (message.includes("end of JSON input")) return "is not JSON: it ends too early";
  // V8 quotes the body in some messages; only the place is repeated.
  const position = /at position (\d+)/.exec(message)?.[1];
  return position === undefined ? "is not JSON" : `is not JSON: wrong at character ${position}`;
}

interface Container {
  /** undefined in an array. */
  readonly names: Set<string> | undefined;
  token: string | number;
}

/** Walks text that JSON.parse took, without recursion. Every scan is linear in the text. */
function memberErrors(text: string): FieldError[] {
  const errors: FieldError[] = [];
  const stack: Container[] = [];
  const here = (): string => jsonPointer(stack.map((container) => container.token));
  let expectName = false;

  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    const top = stack.at(-1);
    if (char === '"') {
      const end = stringEnd(text, i);
      const raw = text.slice(i, end + 1);
      i = end;
      if (expectName && top?.names !== undefined) {
        const name = JSON.parse(raw) as string;
        top.token = name;
        expectName = false;
        if (name === "__proto__") errors.push({ pointer: here(), detail: "is not a known field" });
        else if (top.names.has(name)) errors.push({ pointer: here(), detail: "is given twice" });
        if (loneSurrogate(raw))
          errors.push({ pointer: here(), detail: "name is not Unicode text" });
        top.names.add(name);
      } else if (loneSurrogate(raw)) {
        errors.push({
          pointer: here(),
          detail: "is not Unicode text: it holds half a surrogate pair",
        });
      }
    } else if (char === "{" || char === "[") {
      if (stack.length === MAX_DEPTH) {
        errors.push({ pointer: here(), detail: `is nested deeper than ${MAX_DEPTH} levels` });
        return errors;
      }
      const isObject = char === "{";
      stack.push({ names: isObject ? new Set() : undefined, token: isObject ? "" : 0 });
      expectName = isObject;
    } else if (char === "}" || char === "]") {
      stack.pop();
      expectName = false;
    } else if (char === "," && top !== undefined) {
      if (top.names === undefined) top.token = (top.token as number) + 1;
      else expectName = true;
    }
  }
  return errors;
}

/** Index of the closing quote of the string that opens at `start`. */
function stringEnd(text: string, start: number): number {
  for (let i = start + 1; ; i++) {
    const char = text[i];
    if (char === "\\") i++;
    else if (char === '"') return i;
  }
}

/** Decoded UTF-8 holds no lone surrogate, so only an escape can bring one. */
function loneSurrogate(raw: string): boolean {
  return raw.includes("\\u") && /\p{Surrogate}/u.test(JSON.parse(raw) as string);
}
