import { gzipSync } from "node:zlib";
import { type Random, random } from "../../datasets/random.ts";

/** A body that the API must refuse, by construction. */
export interface MalformedBody {
  readonly url: "/v1/rank" | "/v1/events";
  readonly how: string;
  readonly bytes: Buffer;
  /** Pointers that the answer must name; empty where the body is not JSON. */
  readonly pointers: readonly string[];
}

type Json = Record<string, unknown>;

/** A valid request with most of its fields. */
export function validRank(r: Random): Json {
  const id = () => String(r.below(1e9) + 1);
  return {
    user_id: id(),
    product: r.next() < 0.5 ? "for_you" : "following",
    limit: 1 + r.below(200),
    cursor: "abc.def",
    seen_post_ids: Array.from({ length: 2 + r.below(4) }, id),
    candidate_post_ids: Array.from({ length: 2 + r.below(4) }, id),
    context: {
      utc_offset_minutes: r.below(800),
      country: "NL",
      language: "nl",
      surface: "héé \u{1f426}",
    },
    weights: { favorite: r.next(), report: -r.next() },
    explain: r.next() < 0.5,
    deadline_ms: 1 + r.below(60_000),
  };
}

/** A valid event of one of the sorts that clients send. */
export function validEvent(r: Random): Json {
  const id = () => String(r.below(1e9) + 1);
  const base = { event_id: `e${r.below(1e9)}`, time_ms: 1_000 + r.below(1e9), user_id: id() };
  return [
    { ...base, type: "impression", request_id: "r1", post_id: id(), position: r.below(200) },
    { ...base, type: "engagement", post_id: id(), head: "favorite", request_id: "r1" },
    { ...base, type: "engagement", post_id: id(), head: "dwell_seconds", value: 3.5 },
    { ...base, type: "follow", target_id: id() },
    { ...base, type: "muted_keywords_set", keywords: ["über", "snow man"] },
  ][r.below(5)] as Json;
}

const WRONG_ID = [
  1,
  1e300,
  null,
  true,
  {},
  [],
  "",
  "01",
  "-1",
  "1.0",
  "1e3",
  "18446744073709551616",
  "٣",
  " 1",
  "0x1",
];
const WRONG_NAME = [0, null, {}, ["a"], "", "x".repeat(2_000)];
const WRONG_COUNT = ["1", null, {}, [], -1, 1.5, 1e300, -1e300, 9_007_199_254_740_992, true];

/** Path of a field → values that it never takes. */
const RANK_WRONG: Readonly<Record<string, readonly unknown[]>> = {
  user_id: WRONG_ID,
  product: [...WRONG_NAME, "FOR_YOU", "constructor"],
  limit: [...WRONG_COUNT, 0, 201],
  cursor: WRONG_NAME,
  seen_post_ids: ["1", {}, null, 3, { length: 1 }],
  "seen_post_ids/1": WRONG_ID,
  candidate_post_ids: ["1", {}, null, []],
  "candidate_post_ids/0": WRONG_ID,
  context: [[], "x", 1, null],
  "context/utc_offset_minutes": WRONG_COUNT.filter((value) => value !== -1),
  "context/country": WRONG_NAME,
  weights: [[], "world", 1, null],
  "weights/favorite": ["1", null, -1, 1e300, {}],
  "weights/report": ["1", null, 1, -1e300, {}],
  explain: ["true", 1, 0, null, []],
  deadline_ms: [...WRONG_COUNT, 0, 60_001],
};
const EVENT_WRONG: Readonly<Record<string, readonly unknown[]>> = {
  type: [...WRONG_NAME, "served", "exposure", "Impression", "__proto__", "toString"],
  user_id: WRONG_ID,
  time_ms: [...WRONG_COUNT, 8_640_000_000_000_001],
  event_id: WRONG_NAME,
};
const NAMES = [
  "extra",
  "constructor",
  "toString",
  "hasOwnProperty",
  "valueOf",
  "",
  "a/b",
  "~",
  "ключ",
  "\u{1f426}",
  "User_id",
  "user_id ",
  "length",
  "0",
];

/** `count` malformed bodies for both endpoints; the same seed gives the same bytes. */
export function malformedBodies(count: number, seed: number): MalformedBody[] {
  return Array.from({ length: count }, (_, i) => {
    const r = random(seed, "malformed", i);
    const rank = i % 2 === 0;
    const base = rank ? validRank(r) : validEvent(r);
    const table = rank ? RANK_WRONG : EVENT_WRONG;
    const [how, mutate] = MUTATIONS[
      Math.floor(i / 2) % MUTATIONS.length
    ] as (typeof MUTATIONS)[number];
    const { value, bytes, pointers } = mutate(base, table, r);
    const url = rank ? "/v1/rank" : "/v1/events";
    if (bytes !== undefined) return { url, how, bytes, pointers };
    // Half of the events stand in a batch between valid ones.
    if (rank || r.next() < 0.5) return { url, how, bytes: Buffer.from(value ?? ""), pointers };
    const text = `[${JSON.stringify(validEvent(r))},${value},${JSON.stringify(validEvent(r))}]`;
    return {
      url,
      how,
      bytes: Buffer.from(text),
      pointers: pointers.map((pointer) => `/1${pointer}`),
    };
  });
}

interface Mutated {
  /** JSON text … */
  readonly value?: string;
  /** … or bytes that are not. */
  readonly bytes?: Buffer;
  readonly pointers: readonly string[];
}
type Mutation = (
  base: Json,
  table: Readonly<Record<string, readonly unknown[]>>,
  r: Random,
) => Mutated;

const pick = <T>(items: readonly T[], r: Random): T => items[r.below(items.length)] as T;
const escaped = (name: string): string => name.replaceAll("~", "~0").replaceAll("/", "~1");

/** Sets a `/`-separated path of `base`, which exists. */
function set(base: Json, path: string, value: unknown): void {
  const tokens = path.split("/");
  let at: Json = base;
  for (const token of tokens.slice(0, -1)) at = at[token] as Json;
  at[tokens.at(-1) as string] = value;
}

/** Replaces a value of the text, found by a marker, with something that JSON.stringify cannot write. */
function splice(base: Json, path: string, raw: string): string {
  set(base, path, "\u0001marker");
  return JSON.stringify(base).replace('"\\u0001marker"', () => raw);
}

const MUTATIONS: readonly (readonly [string, Mutation])[] = [
  [
    "one to three wrong values",
    (base, table, r) => {
      // A wrong discriminator hides the fields behind it, and a wrong parent its children: take leaves only.
      const all = Object.keys(table).filter(
        (path) => path !== "type" && !/^(context|weights|\w+_ids)$/.test(path),
      );
      const paths = new Set(Array.from({ length: 1 + r.below(3) }, () => pick(all, r)));
      for (const path of paths) set(base, path, pick(table[path] as unknown[], r));
      return { value: JSON.stringify(base), pointers: [...paths].map((path) => `/${path}`) };
    },
  ],
  [
    "a wrong value anywhere",
    (base, table, r) => {
      const path = pick(Object.keys(table), r);
      set(base, path, pick(table[path] as unknown[], r));
      return { value: JSON.stringify(base), pointers: [`/${path}`] };
    },
  ],
  [
    "missing fields",
    (base, _table, r) => {
      const required = "limit" in base ? ["user_id", "product", "limit"] : ["user_id", "type"];
      const gone = pick(required, r);
      delete base[gone];
      return { value: JSON.stringify(base), pointers: [`/${gone}`] };
    },
  ],
  [
    "unknown and prototype names",
    (base, _table, r) => {
      const name = pick(NAMES, r);
      const inner =
        "context" in base && r.next() < 0.5 ? pick(["context", "weights"], r) : undefined;
      const at = inner === undefined ? base : (base[inner] as Json);
      Object.defineProperty(at, name, { value: { polluted: true }, enumerable: true });
      return {
        value: JSON.stringify(base),
        pointers: [`${inner === undefined ? "" : `/${inner}`}/${escaped(name)}`],
      };
    },
  ],
  [
    "a member __proto__",
    (base, _table, r) => {
      const proto = pick(['{"polluted":true}', "null", '{"user_id":"1"}'], r);
      return {
        value: `{"__proto__":${proto},${JSON.stringify(base).slice(1)}`,
        pointers: ["/__proto__"],
      };
    },
  ],
  [
    "a member given twice",
    (base, _table, r) => {
      const name = pick(Object.keys(base), r);
      return {
        value: `${JSON.stringify(base).slice(0, -1)},${JSON.stringify(name)}:${JSON.stringify(base[name])}}`,
        pointers: [`/${name}`],
      };
    },
  ],
  [
    "numbers past every range",
    (base, _table, r) => ({
      value: splice(
        base,
        "limit" in base ? "limit" : "time_ms",
        pick(["1e999", "-1e999", "1e308", "9".repeat(400), "-1", "0.1"], r),
      ),
      pointers: ["limit" in base ? "/limit" : "/time_ms"],
    }),
  ],
  [
    "deep nesting",
    (base, _table, r) => {
      const depth = pick([40, 400, 20_000], r);
      const raw =
        r.next() < 0.5
          ? "[".repeat(depth) + "]".repeat(depth)
          : `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
      return { value: splice(base, "user_id", raw), pointers: ["/user_id"] };
    },
  ],
  [
    "half a surrogate pair",
    (base, _table, r) => ({
      value: splice(base, "user_id", pick(['"\\ud800"', '"\\udfff1"', '"1\\uD83D\\u0020"'], r)),
      pointers: ["/user_id"],
    }),
  ],
  [
    "literals that are not JSON",
    (base, _table, r) => ({
      bytes: Buffer.from(
        splice(
          base,
          "user_id",
          pick(
            [
              "NaN",
              "Infinity",
              "undefined",
              "'1'",
              "0x1F",
              "01",
              "+1",
              ".5",
              "1.",
              "1n",
              "True",
              "/*x*/1",
              '"\\x41"',
              '"\t"',
              "1,",
              '"a" "b"',
            ],
            r,
          ),
        ),
      ),
      pointers: [],
    }),
  ],
  [
    "truncated JSON",
    (base, _table, r) => {
      const bytes = Buffer.from(JSON.stringify(base));
      return { bytes: bytes.subarray(0, r.below(bytes.length)), pointers: [] };
    },
  ],
  [
    "more after the end",
    (base, _table, r) => ({
      bytes: Buffer.from(JSON.stringify(base) + pick(["}", "]", ",", "{}", "\0", "x"], r)),
      pointers: [],
    }),
  ],
  [
    "another encoding",
    (base, _table, r) => {
      const text = JSON.stringify(base);
      const at = 1 + r.below(text.length - 1);
      const raw = Buffer.from(text);
      return {
        bytes: pick(
          [
            Buffer.from(text, "utf16le"),
            Buffer.from(`\ufeff${text}`),
            gzipSync(text),
            Buffer.concat([raw.subarray(0, at), Buffer.from([0xff]), raw.subarray(at)]),
            Buffer.concat([raw.subarray(0, at), Buffer.from([0xc0, 0x80]), raw.subarray(at)]),
            Buffer.concat([raw.subarray(0, at), Buffer.from([0xed, 0xa0, 0x80]), raw.subarray(at)]),
          ],
          r,
        ),
        pointers: [],
      };
    },
  ],
  [
    "not an object",
    (_base, _table, r) => ({
      bytes: Buffer.from(
        pick(
          [
            "null",
            "1",
            '"x"',
            "true",
            "[]",
            "[[]]",
            "[null]",
            "[1,2]",
            "{}",
            '{"events":{}}',
            '{"events":[]}',
          ],
          r,
        ),
      ),
      pointers: [],
    }),
  ],
  [
    "random bytes",
    (_base, _table, r) => ({
      bytes: Buffer.from(Array.from({ length: r.below(200) }, () => r.below(256))),
      pointers: [],
    }),
  ],
];
