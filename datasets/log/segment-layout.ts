import { EVENT_SCHEMA_VERSION, type EventType } from "../events.ts";
import { ENGAGEMENT_HEADS } from "../heads.ts";

/**
 * The layout of a segment: one wide Parquet table for all event types. Fields that many records have are columns;
 * what is left of an event is JSON in `payload`. An absent field is NULL.
 *
 * Between JavaScript and DuckDB rows travel without NULLs: a `present` bit mask says which fields an event has, and
 * ids are two 32-bit halves. DuckDB's JavaScript vectors keep validity in BigInts, which costs more than the rest.
 */
export const EVENT_TYPES = [
  "user_created",
  "user_deleted",
  "post_created",
  "post_deleted",
  "follow",
  "unfollow",
  "block",
  "unblock",
  "mute",
  "unmute",
  "muted_keywords_set",
  "served",
  "impression",
  "engagement",
  "exposure",
  "erased",
] as const satisfies readonly EventType[];

export const HEAD_NAMES: readonly string[] = ENGAGEMENT_HEADS.map((head) => head.name);

export const ID_COLUMNS = ["user_id", "post_id", "author_id", "target_id"] as const;
export const TEXT_COLUMNS = ["event_id", "request_id", "policy", "surface", "payload"] as const;

/** Bits of `present`. */
export const PRESENT = {
  user_id: 1 << 0,
  post_id: 1 << 1,
  author_id: 1 << 2,
  target_id: 1 << 3,
  event_id: 1 << 4,
  request_id: 1 << 5,
  policy: 1 << 6,
  surface: 1 << 7,
  payload: 1 << 8,
  head: 1 << 9,
  value: 1 << 10,
  position: 1 << 11,
  viewed_ms: 1 << 12,
  propensity: 1 << 13,
  in_network: 1 << 14,
  in_network_true: 1 << 15,
  undo: 1 << 16,
  undo_true: 1 << 17,
} as const;

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
const list = (names: readonly string[]): string => names.map(literal).join(",");

/** Columns of the staging table, in the order in which `SegmentBuffer` fills them. */
export const STAGING_COLUMNS = [
  "seq DOUBLE",
  "time_ms DOUBLE",
  "type UTINYINT",
  "present UINTEGER",
  ...ID_COLUMNS.flatMap((name) => [`${name}_low UINTEGER`, `${name}_high UINTEGER`]),
  "head UTINYINT",
  "value DOUBLE",
  "position USMALLINT",
  "viewed_ms UINTEGER",
  "propensity DOUBLE",
  ...TEXT_COLUMNS.map((name) => `${name} VARCHAR`),
].join(", ");

const given = (field: keyof typeof PRESENT, value: string): string =>
  `CASE WHEN present & ${PRESENT[field]} <> 0 THEN ${value} END AS ${field}`;

/** Staging row → Parquet row. */
export const TO_PARQUET = [
  "seq::BIGINT AS seq",
  "time_ms::BIGINT AS time_ms",
  `list_extract([${list(EVENT_TYPES)}], type + 1) AS type`,
  given("event_id", "event_id"),
  ...ID_COLUMNS.map((name) => given(name, `(${name}_high::UBIGINT << 32) | ${name}_low::UBIGINT`)),
  given("request_id", "request_id"),
  given("head", `list_extract([${list(HEAD_NAMES)}], head + 1)`),
  given("value", "value"),
  given("position", "position"),
  given("viewed_ms", "viewed_ms"),
  given("in_network", `present & ${PRESENT.in_network_true} <> 0`),
  given("policy", "policy"),
  given("propensity", "propensity"),
  given("surface", "surface"),
  given("undo", `present & ${PRESENT.undo_true} <> 0`),
  `${EVENT_SCHEMA_VERSION}::UTINYINT AS schema_version`,
  given("payload", "payload"),
].join(", ");

const bit = (field: keyof typeof PRESENT, condition: string): string =>
  `(CASE WHEN ${condition} THEN ${PRESENT[field]} ELSE 0 END)`;

/** Parquet row → the columns that `decodeChunk` reads, in its order. */
export const FROM_PARQUET = [
  "seq::DOUBLE",
  "time_ms::DOUBLE",
  `enum_code(type::ENUM(${list(EVENT_TYPES)}))::UTINYINT`,
  `(${[
    ...[...ID_COLUMNS, ...TEXT_COLUMNS].map((name) => bit(name, `${name} IS NOT NULL`)),
    ...(
      ["head", "value", "position", "viewed_ms", "propensity", "in_network", "undo"] as const
    ).map((name) => bit(name, `${name} IS NOT NULL`)),
    bit("in_network_true", "in_network"),
    bit("undo_true", "undo"),
  ].join(" | ")})::UINTEGER`,
  ...ID_COLUMNS.flatMap((name) => [
    `(coalesce(${name}, 0) & 4294967295)::UINTEGER`,
    `(coalesce(${name}, 0) >> 32)::UINTEGER`,
  ]),
  `enum_code(coalesce(head, ${literal(HEAD_NAMES[0] as string)})::ENUM(${list(HEAD_NAMES)}))::UTINYINT`,
  "coalesce(value, 0)",
  "coalesce(position, 0)::USMALLINT",
  "coalesce(viewed_ms, 0)::UINTEGER",
  "coalesce(propensity, 0)",
  ...TEXT_COLUMNS.map((name) => `coalesce(${name}, '')`),
].join(", ");
