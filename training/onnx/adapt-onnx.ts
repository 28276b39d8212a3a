import { InferenceSession, Tensor } from "onnxruntime-node";
import { random } from "../../datasets/random.ts";
import { RoostError } from "../../errors.ts";
import { OnnxModelWriter } from "../graph/onnx-writer.ts";
import { QUIET } from "../graph/run-onnx.ts";
import { graphFields, opsetOf, surroundGraph, zipMapInputs } from "./onnx-graph.ts";

/** What a model's outputs for binary heads are. */
export type Gives = "logits" | "probabilities";

export interface AdaptRequest {
  readonly model: Uint8Array;
  /** Columns of `features`. */
  readonly d: number;
  /** Columns of `ids`. */
  readonly k: number;
  readonly heads: readonly { readonly name: string; readonly kind: "binary" | "continuous" }[];
  /** Must be said when the outputs could be either; a classifier's two columns are probabilities. */
  readonly gives?: Gives;
  /** The outputs to take, in the order of the heads; every one of floats when not given. */
  readonly outputs?: readonly string[];
  /** What the model is given for a missing feature; NaN when not given. */
  readonly missing?: number;
}

/** Before the names of the values of the model inside. */
const INSIDE = "model/";
/** `IsNaN` and `Where` came with 9; later versions changed none of the operators used here in what they are given. */
const LEAST_OPSET = 9;
const OWN_OPSET = 18;
/** Probabilities are moved this far from 0 and 1, where a logit has no value. */
const LEAST_PROBABILITY = 1e-7;
/** Rows of the run that shows an output's shape and range. */
const SHAPE_ROWS = 64;
const SHAPE_SEED = 1;

interface Source {
  /** The value's name in the original graph. */
  readonly name: string;
  columns: number;
  values: Float32Array;
}

/**
 * Puts a model of another making into the bundle's signature: input `features` float32 [n, d], with ids `ids` int32
 * [n, k], output `outputs` float32 [n, heads] with a logit for each binary head and an amount for each continuous one.
 * Takes one matrix of floats as input (and one of integers, for ids); as outputs one matrix with a column a head, one
 * output a head, or a classifier's two columns a head, of which the second is the probability.
 * @throws BAD_BUNDLE saying what does not fit, and BAD_ARGUMENT when it must be said what the outputs are
 */
export async function adaptOnnx(request: AdaptRequest): Promise<Uint8Array> {
  const session = await load(request.model);
  try {
    const opset = opsetOf(request.model) ?? OWN_OPSET;
    if (opset < LEAST_OPSET)
      throw refused(`it is of ONNX opset ${opset}; convert it to opset ${LEAST_OPSET} or newer`);
    const inputs = inputsOf(session, request);
    const sources = await sourcesOf(session, inputs, request);
    return wrap(request, inputs, sources);
  } finally {
    await session.release();
  }
}

const refused = (detail: string): RoostError =>
  new RoostError("BAD_BUNDLE", `the model is refused: ${detail}`);

async function load(model: Uint8Array): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(model, {
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      logSeverityLevel: QUIET,
    });
  } catch (error) {
    throw refused((error as Error).message);
  }
}

interface Inputs {
  readonly features: { readonly name: string; readonly type: string };
  readonly ids: { readonly name: string; readonly type: string } | undefined;
}

type Metadata = InferenceSession["inputMetadata"][number];

function inputsOf(session: InferenceSession, { d, k }: AdaptRequest): Inputs {
  const all = session.inputMetadata;
  const floats = all.filter((input) => isOf(input, ["float32", "float64"]));
  const whole = all.filter((input) => isOf(input, ["int32", "int64"]));
  const list = all.map(described).join(", ");
  if (floats.length !== 1)
    throw refused(`it needs one input of floats for the features; it has ${list || "none"}`);
  if (all.length !== (k > 0 ? 2 : 1) || whole.length !== (k > 0 ? 1 : 0))
    throw refused(
      k > 0
        ? `beside the features it needs one input of integers for the ids; it has ${list}`
        : `it asks for more than features (${list}); name its ids with --ids, or export it without them`,
    );
  const check = (input: Metadata, width: number, flag: string): void => {
    const shape = shapeOf(input);
    if (shape.length !== 2)
      throw refused(`its input ${described(input)} is no matrix [n, ${width}]`);
    if (typeof shape[0] === "number" && shape[0] > 0)
      throw refused(
        `its input ${described(input)} takes ${shape[0]} rows only; export it with a free first axis`,
      );
    if (typeof shape[1] === "number" && shape[1] > 0 && shape[1] !== width)
      throw refused(
        `its input ${described(input)} has ${shape[1]} columns, ${flag} names ${width}`,
      );
  };
  const [features, ids] = [floats[0] as Metadata, whole[0]];
  check(features, d, "--features");
  if (ids !== undefined) check(ids, k, "--ids");
  return {
    features: { name: features.name, type: typeOf(features) },
    ids: ids && { name: ids.name, type: typeOf(ids) },
  };
}

const isOf = (value: Metadata, types: readonly string[]): boolean =>
  value.isTensor && types.includes(value.type);
const typeOf = (value: Metadata): string => (value.isTensor ? value.type : "sequence or map");
const shapeOf = (value: Metadata): readonly (number | string)[] =>
  value.isTensor ? value.shape : [];
const described = (value: Metadata): string =>
  `${value.name} (${typeOf(value)} [${shapeOf(value).join(", ")}])`;

/** The values that the heads are made of, with the shape that a run shows. */
async function sourcesOf(
  session: InferenceSession,
  inputs: Inputs,
  request: AdaptRequest,
): Promise<Source[]> {
  const zipped = zipMapInputs(request.model);
  const known = new Map(session.outputMetadata.map((output) => [output.name, output]));
  const wanted =
    request.outputs ??
    [...known.values()]
      .filter((output) => zipped.has(output.name) || isOf(output, ["float32", "float64"]))
      .map(({ name }) => name);
  const absent = wanted.filter((name) => !known.has(name));
  const list = [...known.values()].map(described).join(", ");
  if (absent.length > 0) throw refused(`it has no output ${absent.join(", ")}; it has ${list}`);
  if (wanted.length === 0) throw refused(`it has no output of floats; it has ${list}`);
  const sources = wanted.map((name): Source => {
    const output = known.get(name) as Metadata;
    const zip = zipped.get(name);
    if (zip === undefined && !isOf(output, ["float32", "float64"]))
      throw refused(`its output ${described(output)} is no matrix of floats`);
    return {
      name: zip ?? name,
      columns: 0,
      values: new Float32Array(0),
    };
  });
  await readShapes(inputs, request, sources);
  return sources;
}

/** Runs the model on a few rows and notes the shape of each source. */
async function readShapes(
  inputs: Inputs,
  request: AdaptRequest,
  sources: readonly Source[],
): Promise<void> {
  const writer = new OnnxModelWriter();
  const prefixNodes = writeInputs(writer, inputs, request);
  for (const [i, { name }] of sources.entries()) {
    writer.node("Cast", [`${INSIDE}${name}`], [`source_${i}`], { to: ONNX_FLOAT });
    writer.outputOfAnyShape(`source_${i}`);
  }
  const model = assemble(request.model, writer, prefixNodes);
  const session = await load(model);
  try {
    const draw = random(SHAPE_SEED, "shape");
    const features = Float32Array.from({ length: SHAPE_ROWS * request.d }, () => 3 * draw.normal());
    const feeds: Record<string, Tensor> = {
      features: new Tensor("float32", features, [SHAPE_ROWS, request.d]),
    };
    if (request.k > 0)
      feeds.ids = new Tensor("int32", new Int32Array(SHAPE_ROWS * request.k), [
        SHAPE_ROWS,
        request.k,
      ]);
    const results = await session.run(feeds, { logSeverityLevel: QUIET }).catch((error: Error) => {
      throw refused(`it does not run on [${SHAPE_ROWS}, ${request.d}]: ${error.message}`);
    });
    for (const [i, source] of sources.entries()) {
      const { dims, data } = results[`source_${i}`] as Tensor;
      if (dims[0] !== SHAPE_ROWS || dims.length > 2)
        throw refused(
          `its output ${source.name} is [${dims.join(", ")}] for ${SHAPE_ROWS} rows, not a row each`,
        );
      source.columns = dims[1] ?? 1;
      source.values = data as Float32Array;
    }
  } finally {
    await session.release();
  }
}

/** Writes what turns `features` and `ids` into the model's own inputs; says how many nodes that took. */
function writeInputs(
  writer: OnnxModelWriter,
  { features, ids }: Inputs,
  { d, k, missing }: AdaptRequest,
): number {
  let nodes = 0;
  writer.input("features", ["n", d], "float32");
  let given = "features";
  if (missing !== undefined) {
    const [isMissing, filled] = [writer.fresh(), writer.fresh()];
    writer.node("IsNaN", ["features"], [isMissing]);
    const value = writer.constant(Float32Array.of(missing), [1]);
    writer.node("Where", [isMissing, value, "features"], [filled]);
    given = filled;
    nodes += 2;
  }
  writer.node("Cast", [given], [`${INSIDE}${features.name}`], {
    to: features.type === "float64" ? ONNX_DOUBLE : ONNX_FLOAT,
  });
  nodes++;
  if (ids !== undefined) {
    writer.input("ids", ["n", k], "int32");
    writer.node("Cast", ["ids"], [`${INSIDE}${ids.name}`], {
      to: ids.type === "int64" ? ONNX_INT64 : ONNX_INT32,
    });
    nodes++;
  }
  return nodes;
}
const [ONNX_FLOAT, ONNX_INT32, ONNX_INT64, ONNX_DOUBLE] = [1, 6, 7, 11];

/** The model in the middle of what was written: the first `prefixNodes` nodes before it, the rest after. */
function assemble(model: Uint8Array, writer: OnnxModelWriter, prefixNodes: number): Uint8Array {
  const { nodes, others } = graphFields(writer.encode());
  return surroundGraph(model, INSIDE, OWN_OPSET, {
    before: nodes.slice(0, prefixNodes),
    after: [...nodes.slice(prefixNodes), ...others],
  });
}

function wrap(request: AdaptRequest, inputs: Inputs, sources: readonly Source[]): Uint8Array {
  const writer = new OnnxModelWriter();
  const prefixNodes = writeInputs(writer, inputs, request);
  const width = request.heads.length;
  const total = sources.reduce((sum, { columns }) => sum + columns, 0);
  const classifiers =
    total !== width &&
    sources.length === width &&
    sources.every(({ columns }) => columns === 2) &&
    request.heads.every(({ kind }) => kind === "binary");
  if (total !== width && !classifiers)
    throw refused(
      `it gives ${total} columns (${sources.map(({ name, columns }) => `${name}: ${columns}`).join(", ")}), --heads names ${width}`,
    );
  const gives = classifiers ? "probabilities" : (request.gives ?? guess(request, sources));
  const columns = sources.map(({ name, columns }) => {
    const [cast, matrix] = [writer.fresh(), writer.fresh()];
    writer.node("Cast", [`${INSIDE}${name}`], [cast], { to: ONNX_FLOAT });
    writer.node("Reshape", [cast, writer.int64s([-1, columns])], [matrix]);
    if (!classifiers) return matrix;
    const second = writer.fresh();
    writer.node("Gather", [matrix, writer.int64s([1])], [second], { axis: 1 });
    return second;
  });
  let raw = columns[0] as string;
  if (columns.length > 1) {
    raw = writer.fresh();
    writer.node("Concat", columns, [raw], { axis: 1 });
  }
  writer.node(
    "Identity",
    [gives === "logits" ? raw : writeLogits(writer, raw, request)],
    ["outputs"],
  );
  writer.output("outputs", ["n", width], "float32");
  return assemble(request.model, writer, prefixNodes);
}

/** Logits of the binary columns of a matrix of probabilities; the continuous ones stay as they are. */
export function writeLogits(
  writer: OnnxModelWriter,
  raw: string,
  { heads }: Pick<AdaptRequest, "heads">,
): string {
  const logit = writeLogit(writer, raw);
  if (heads.every(({ kind }) => kind === "binary")) return logit;
  const binary = Float32Array.from(heads, ({ kind }) => (kind === "binary" ? 1 : 0));
  const [logits, amounts, mixed] = [writer.fresh(), writer.fresh(), writer.fresh()];
  writer.node("Mul", [logit, writer.constant(binary, [1, heads.length])], [logits]);
  const continuous = binary.map((one) => 1 - one);
  writer.node("Mul", [raw, writer.constant(continuous, [1, heads.length])], [amounts]);
  writer.node("Add", [logits, amounts], [mixed]);
  return mixed;
}

/** ln p − ln(1 − p), p held within 1e-7 of 0 and 1. */
export function writeLogit(writer: OnnxModelWriter, p: string): string {
  const [high, held, rest, logP, logRest, logit] = Array.from({ length: 6 }, () =>
    writer.fresh(),
  ) as [string, string, string, string, string, string];
  const constant = (value: number): string => writer.constant(Float32Array.of(value), [1]);
  writer.node("Max", [p, constant(LEAST_PROBABILITY)], [high]);
  writer.node("Min", [high, constant(1 - LEAST_PROBABILITY)], [held]);
  writer.node("Sub", [constant(1), held], [rest]);
  writer.node("Log", [held], [logP]);
  writer.node("Log", [rest], [logRest]);
  writer.node("Sub", [logP, logRest], [logit]);
  return logit;
}

/** Logits, unless the few values that were seen could be probabilities: taken for the other, they would still look fine. */
function guess({ heads }: AdaptRequest, sources: readonly Source[]): Gives {
  if (heads.every(({ kind }) => kind === "continuous")) return "logits";
  const seen = sources.flatMap(({ values }) => [...values]);
  if (seen.some((value) => value < 0 || value > 1)) return "logits";
  throw new RoostError(
    "BAD_ARGUMENT",
    "the model's outputs lie within 0 and 1: say --gives probabilities or --gives logits",
  );
}
