import { type Random, random } from "../../datasets/random.ts";
import { RoostError } from "../../errors.ts";
import type { BundleManifest } from "../../features/bundle.ts";
import { type OnnxSession, onnxSession, QUIET } from "../graph/run-onnx.ts";

/** Rows with every feature present, and as many with features missing. */
const ROWS = 64;
const SEED = 1;
/** Features are counts, ages, rates and followers: anything up to this is plausible. */
const LARGEST = 1e6;
const SMALLEST = 1e-3;
const MISSING_SHARE = 0.3;
/** Rows that are run alone as well. */
const ALONE = 5;
const TOLERANCE = 1e-4;

/**
 * Runs a model of the bundle's signature as a server would, on plausible rows with and without missing features.
 * @throws BAD_BUNDLE when it does not run, its output is not one finite number a row and head, or a row's output depends
 * on the rows beside it
 */
export async function probeOnnx(
  model: Uint8Array,
  signature: Pick<BundleManifest, "features" | "ids" | "heads">,
): Promise<void> {
  const session = await onnxSession(model, 1, QUIET).catch((error: Error) => {
    throw refused(error.message);
  });
  try {
    const draw = random(SEED, "probe");
    const present = matrix(ROWS, signature.features.length, draw, 0);
    const absent = matrix(ROWS, signature.features.length, draw, MISSING_SHARE);
    absent.fill(Number.NaN, 0, signature.features.length);
    present.fill(0, 0, signature.features.length);
    const ids = buckets(signature.ids, draw);
    const outputs = await run(session, signature, present, ids, ROWS);
    check(outputs, signature.heads, "with every feature present", "");
    check(
      await run(session, signature, absent, ids, ROWS),
      signature.heads,
      "with features missing",
      "; say with --missing what it is to be given for them",
    );
    await checkIndependence(session, signature, present, ids, outputs);
  } finally {
    await session.release();
  }
}

type Signature = Pick<BundleManifest, "features" | "ids" | "heads">;
const refused = (detail: string): RoostError =>
  new RoostError("BAD_BUNDLE", `the model is refused: ${detail}`);

function matrix(n: number, d: number, draw: Random, missing: number): Float32Array {
  const [low, high] = [Math.log(SMALLEST), Math.log(LARGEST)];
  return Float32Array.from({ length: n * d }, () => {
    const value = (draw.next() < 0.2 ? -1 : 1) * Math.exp(low + (high - low) * draw.next());
    return draw.next() < missing ? Number.NaN : value;
  });
}

/** Every column's first bucket (missing), its last, and others. */
function buckets(ids: Signature["ids"], draw: Random): Int32Array {
  return Int32Array.from({ length: ROWS * ids.length }, (_, i) => {
    const size = ids[i % ids.length]?.buckets as number;
    const row = Math.floor(i / ids.length);
    return row === 0 ? 0 : row === 1 ? size - 1 : Math.floor(draw.next() * size);
  });
}

async function run(
  session: OnnxSession,
  { features, ids, heads }: Signature,
  x: Float32Array,
  hashed: Int32Array,
  n: number,
): Promise<Float32Array> {
  const [d, k] = [features.length, ids.length];
  const { outputs } = await session
    .run({ features: { data: x, shape: [n, d] }, ids: { data: hashed, shape: [n, k] } })
    .catch((error: Error) => {
      throw refused(`it does not run on features [${n}, ${d}]: ${error.message}`);
    });
  if (outputs === undefined) throw refused("it has no output named outputs");
  if (outputs.length !== n * heads.length)
    throw refused(`it gives ${outputs.length} values for ${n} rows and ${heads.length} heads`);
  return outputs;
}

function check(
  outputs: Float32Array,
  heads: Signature["heads"],
  when: string,
  remedy: string,
): void {
  const at = outputs.findIndex((value) => !Number.isFinite(value));
  if (at === -1) return;
  const head = heads[at % heads.length]?.name;
  throw refused(`its output for ${head} is ${outputs[at]} ${when}${remedy}`);
}

async function checkIndependence(
  session: OnnxSession,
  signature: Signature,
  x: Float32Array,
  hashed: Int32Array,
  together: Float32Array,
): Promise<void> {
  const [d, k, h] = [signature.features.length, signature.ids.length, signature.heads.length];
  for (let row = 0; row < ALONE; row++) {
    const alone = await run(
      session,
      signature,
      x.slice(row * d, (row + 1) * d),
      hashed.slice(row * k, (row + 1) * k),
      1,
    );
    for (let j = 0; j < h; j++) {
      const [a, b] = [alone[j] as number, together[row * h + j] as number];
      if (Math.abs(a - b) > TOLERANCE * (1 + Math.abs(a)))
        throw refused(
          `its output for a row depends on the rows beside it (${a} alone, ${b} among ${ROWS}); export it for inference`,
        );
    }
  }
}
