import protobuf from "protobufjs";

/** One field of a protobuf message as it stands in the bytes. */
export interface WireField {
  readonly number: number;
  /** The whole field, its tag included: concatenated fields are a message again. */
  readonly raw: Uint8Array;
  /** The payload of a length-delimited field (text, bytes, message, packed list); empty otherwise. */
  readonly bytes: Uint8Array;
  /** The value of a varint field; 0 otherwise. */
  readonly varint: number;
}

const VARINT = 0;
const LENGTH_DELIMITED = 2;
const NOTHING = new Uint8Array(0);

/**
 * The fields of a protobuf message, in order, without knowing its schema: what is not understood can be passed on as it
 * is. Source: protobuf.dev, "Encoding".
 * @throws RangeError or Error when the bytes are no message
 */
export function* wireFields(message: Uint8Array): Iterable<WireField> {
  const reader = protobuf.Reader.create(message);
  while (reader.pos < message.length) {
    const start = reader.pos;
    const tag = reader.uint32();
    const wireType = tag & 7;
    let bytes: Uint8Array = NOTHING;
    let varint = 0;
    if (wireType === LENGTH_DELIMITED) bytes = reader.bytes();
    else if (wireType === VARINT) varint = Number(reader.int64());
    else reader.skipType(wireType);
    yield { number: tag >>> 3, raw: message.subarray(start, reader.pos), bytes, varint };
  }
}

/** A length-delimited field. */
export function wireField(number: number, bytes: Uint8Array): Uint8Array {
  const head = protobuf.Writer.create()
    .uint32((number << 3) | LENGTH_DELIMITED)
    .uint32(bytes.length)
    .finish();
  return joined([head, bytes]);
}

/** A varint field. */
export function wireVarint(number: number, value: number): Uint8Array {
  return protobuf.Writer.create()
    .uint32(number << 3)
    .uint32(value)
    .finish();
}

/** Parts of a message, one after the other. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The payloads of the length-delimited fields `number`. */
export function* payloads(message: Uint8Array, number: number): Iterable<Uint8Array> {
  for (const field of wireFields(message)) if (field.number === number) yield field.bytes;
}

/** The text of a message's first field `number`; empty when it has none. */
export function textOf(message: Uint8Array, number: number): string {
  for (const bytes of payloads(message, number)) return new TextDecoder().decode(bytes);
  return "";
}
