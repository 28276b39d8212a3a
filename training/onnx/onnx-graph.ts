import { RoostError } from "../../errors.ts";
import {
  joined,
  payloads,
  textOf,
  wireField,
  wireFields,
  wireVarint,
} from "../../features/onnx-wire.ts";

/** Field numbers of onnx.proto. Source: github.com/onnx/onnx, onnx/onnx.proto (Apache-2.0). */
const MODEL = { irVersion: 1, graph: 7, opset: 8 } as const;
const GRAPH = {
  node: 1,
  initializer: 5,
  input: 11,
  output: 12,
  valueInfo: 13,
  quantization: 14,
  sparseInitializer: 15,
} as const;
const NODE = { input: 1, output: 2, name: 3, opType: 4, attribute: 5 } as const;
const ATTRIBUTE = { g: 6, graphs: 11 } as const;
const TENSOR_NAME = 8;
/** From here on an initialiser need not be declared as an input as well. */
const LEAST_IR = 4;

/** Parts of a graph to put around another's: encoded fields of a GraphProto. */
export interface GraphParts {
  readonly before: readonly Uint8Array[];
  readonly after: readonly Uint8Array[];
}

/** Input of a ZipMap (a classifier's probabilities as a matrix) by the name of its output (the same as maps). */
export function zipMapInputs(model: Uint8Array): Map<string, string> {
  const found = new Map<string, string>();
  for (const node of payloads(graphOf(model), GRAPH.node))
    if (textOf(node, NODE.opType) === "ZipMap")
      found.set(textOf(node, NODE.output), textOf(node, NODE.input));
  return found;
}

/** The version of ONNX's own operators that a model is written in; undefined when it uses none of them. */
export function opsetOf(model: Uint8Array): number | undefined {
  for (const opset of payloads(model, MODEL.opset)) {
    const domain = textOf(opset, 1);
    if (domain !== "" && domain !== "ai.onnx") continue;
    for (const { number, varint } of wireFields(opset)) if (number === 2) return varint;
  }
  return undefined;
}

/**
 * The same model with the name of every value and node behind `prefix`, without its declared inputs and outputs and without ZipMaps,
 * and with other parts before and after. What is not looked at is passed on byte by byte.
 * @param opset the version of ONNX's own operators that is declared when the model declares none
 */
export function surroundGraph(
  model: Uint8Array,
  prefix: string,
  opset: number,
  { before, after }: GraphParts,
): Uint8Array {
  const parts: Uint8Array[] = [];
  let irVersion = LEAST_IR;
  for (const field of wireFields(model)) {
    if (field.number === MODEL.irVersion) irVersion = Math.max(LEAST_IR, field.varint);
    else if (field.number !== MODEL.graph) parts.push(field.raw);
  }
  if (opsetOf(model) === undefined) parts.push(wireField(MODEL.opset, wireVarint(2, opset)));
  const inner: Uint8Array[] = [];
  for (const field of wireFields(graphOf(model))) {
    if (field.number === GRAPH.input || field.number === GRAPH.output) continue;
    if (field.number === GRAPH.node && textOf(field.bytes, NODE.opType) === "ZipMap") continue;
    inner.push(renamedGraphField(field.number, field.raw, field.bytes, prefix));
  }
  const graph = joined([...before, ...inner, ...after]);
  return joined([wireVarint(MODEL.irVersion, irVersion), ...parts, wireField(MODEL.graph, graph)]);
}

/** The encoded nodes, initialisers, inputs and outputs of a model that was written for its parts. */
export function graphFields(model: Uint8Array): {
  readonly nodes: Uint8Array[];
  readonly others: Uint8Array[];
} {
  const nodes: Uint8Array[] = [];
  const others: Uint8Array[] = [];
  for (const { number, raw } of wireFields(graphOf(model)))
    if (number === GRAPH.node) nodes.push(raw);
    else if ([GRAPH.initializer, GRAPH.input, GRAPH.output].includes(number as 5)) others.push(raw);
  return { nodes, others };
}

/** @throws BAD_BUNDLE when the bytes hold no graph */
function graphOf(model: Uint8Array): Uint8Array {
  try {
    // A message that stands twice is merged: fields of both, in order.
    const graphs = [...payloads(model, MODEL.graph)];
    if (graphs.length === 1) return graphs[0] as Uint8Array;
    if (graphs.length > 1) return joined(graphs);
  } catch (error) {
    throw new RoostError("BAD_BUNDLE", `the model is no ONNX file: ${(error as Error).message}`);
  }
  throw new RoostError("BAD_BUNDLE", "the model is no ONNX file: it has no graph");
}

function renamedGraph(graph: Uint8Array, prefix: string): Uint8Array {
  return joined(
    [...wireFields(graph)].map(({ number, raw, bytes }) =>
      renamedGraphField(number, raw, bytes, prefix),
    ),
  );
}

function renamedGraphField(
  number: number,
  raw: Uint8Array,
  bytes: Uint8Array,
  prefix: string,
): Uint8Array {
  if (number === GRAPH.node) return wireField(number, renamedNode(bytes, prefix));
  if (number === GRAPH.initializer)
    return wireField(number, renamedText(bytes, [TENSOR_NAME], prefix));
  if (number === GRAPH.sparseInitializer)
    return wireField(
      number,
      joined(
        [...wireFields(bytes)].map((field) =>
          field.number === 1
            ? wireField(1, renamedText(field.bytes, [TENSOR_NAME], prefix))
            : field.raw,
        ),
      ),
    );
  if ([GRAPH.input, GRAPH.output, GRAPH.valueInfo].includes(number as 11))
    return wireField(number, renamedText(bytes, [1], prefix));
  // It names values too, and runtimes do without it.
  if (number === GRAPH.quantization) return new Uint8Array(0);
  return raw;
}

function renamedNode(node: Uint8Array, prefix: string): Uint8Array {
  const named = renamedText(node, [NODE.input, NODE.output, NODE.name], prefix);
  return joined(
    [...wireFields(named)].map((field) =>
      field.number === NODE.attribute
        ? wireField(NODE.attribute, renamedAttribute(field.bytes, prefix))
        : field.raw,
    ),
  );
}

/** Loops and branches hold graphs of their own, which see the names outside. */
function renamedAttribute(attribute: Uint8Array, prefix: string): Uint8Array {
  return joined(
    [...wireFields(attribute)].map((field) =>
      field.number === ATTRIBUTE.g || field.number === ATTRIBUTE.graphs
        ? wireField(field.number, renamedGraph(field.bytes, prefix))
        : field.raw,
    ),
  );
}

/** Puts `prefix` before the texts of some fields; an empty name means that an optional value is left out, and stays. */
function renamedText(message: Uint8Array, numbers: readonly number[], prefix: string): Uint8Array {
  const start = new TextEncoder().encode(prefix);
  return joined(
    [...wireFields(message)].map((field) =>
      numbers.includes(field.number) && field.bytes.length > 0
        ? wireField(field.number, joined([start, field.bytes]))
        : field.raw,
    ),
  );
}
