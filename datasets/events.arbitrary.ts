import fc from "fast-check";
import { z } from "zod";
import { type Event, EventSchema } from "./events.ts";

/** The part of JSON Schema that Zod emits for the event schema. */
interface Schema {
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly items?: Schema;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | false;
}

/**
 * Random valid events of every type, for property tests. Derived from `EventSchema` itself, so that a new event type
 * or field is covered from its first day.
 */
export function anyEvent(): fc.Arbitrary<Event> {
  return arbitrary(z.toJSONSchema(EventSchema) as Schema).map((value) => EventSchema.parse(value));
}

// Long lists add time, not cases.
const MAX_ITEMS = 4;

function arbitrary(schema: Schema): fc.Arbitrary<unknown> {
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  const options = schema.anyOf ?? schema.oneOf;
  if (options) return fc.oneof(...options.map(arbitrary));
  if (Array.isArray(schema.type))
    return fc.oneof(...schema.type.map((type: string) => arbitrary({ ...schema, type })));
  switch (schema.type) {
    case "null":
      return fc.constant(null);
    case "boolean":
      return fc.boolean();
    case "integer":
      return fc.integer({ min: schema.minimum ?? 0, max: schema.maximum ?? 2 ** 31 });
    case "number":
      return number(schema);
    case "string":
      return schema.pattern ? id() : text(schema);
    case "array":
      return fc.array(arbitrary(schema.items as Schema), {
        maxLength: Math.min(schema.maxItems ?? MAX_ITEMS, MAX_ITEMS),
      });
    case "object":
      return object(schema);
    default:
      throw new Error(`no arbitrary for ${JSON.stringify(schema)}`);
  }
}

function id(): fc.Arbitrary<string> {
  return fc
    .oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.bigInt({ min: 0n, max: 10n }))
    .map(String);
}

function text(schema: Schema): fc.Arbitrary<string> {
  const lengths = {
    minLength: schema.minLength ?? 0,
    maxLength: Math.min(schema.maxLength ?? 20, 20),
  };
  // `binary` holds NUL and lone surrogates, which JSON allows in a request body.
  return fc.oneof(
    fc.string(lengths),
    fc.string({ ...lengths, unit: "grapheme" }).filter((s) => s.length <= (schema.maxLength ?? 20)),
    fc
      .array(fc.integer({ min: 0, max: 0xffff }), lengths)
      .map((codes) => String.fromCharCode(...codes)),
  );
}

function number(schema: Schema): fc.Arbitrary<number> {
  return (
    fc
      .double({
        min: schema.minimum ?? schema.exclusiveMinimum ?? -1e300,
        max: schema.maximum ?? 1e300,
        minExcluded: schema.exclusiveMinimum !== undefined,
        noNaN: true,
      })
      // JSON has no −0, so the wire never carries one.
      .map((value) => value + 0)
  );
}

function object(schema: Schema): fc.Arbitrary<unknown> {
  if (schema.properties === undefined) {
    return fc.dictionary(
      fc.string({ minLength: 1, maxLength: 12 }).filter((key) => key !== "__proto__"),
      arbitrary(schema.additionalProperties as Schema),
      { maxKeys: MAX_ITEMS },
    );
  }
  const fields = Object.entries(schema.properties).map(([key, field]) => [key, arbitrary(field)]);
  return fc.record(Object.fromEntries(fields) as Record<string, fc.Arbitrary<unknown>>, {
    requiredKeys: [...(schema.required ?? [])],
  });
}
