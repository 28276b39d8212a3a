import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, open, readFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { RoostError } from "../../errors.ts";
import type { VectorIndex } from "./vector-index.ts";

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const IndexManifest = z.strictObject({
  format: z.literal(1),
  kind: z.enum(["exact", "hnsw"]),
  dimension: z.int().min(1),
  size: z.int().min(0),
  /** What the vectors are of: a model's version … */
  about: z.record(z.string(), z.string()),
  /** Of `ids` and `vectors`. */
  checksums: z.strictObject({ ids: Sha256, vectors: Sha256 }),
});
export type IndexManifest = z.infer<typeof IndexManifest>;

/** The file that an implementation writes and reads itself. */
export const vectorsFile = (dir: string): string => join(dir, "vectors");

/** What was read back: the label of each id as it was written. */
export interface SavedIndex {
  readonly manifest: IndexManifest;
  readonly labels: ReadonlyMap<string, number>;
}

/**
 * Writes an index in a directory of its own beside `dir`, which is then renamed into place.
 * @param labels id → its number in the vectors' file
 * @param writeVectors writes the file at the given path
 */
export async function writeIndex(
  dir: string,
  index: Pick<VectorIndex, "kind" | "dimension">,
  about: Readonly<Record<string, string>>,
  labels: Iterable<readonly [string, number]>,
  writeVectors: (path: string) => Promise<void>,
): Promise<void> {
  const lines: string[] = [];
  for (const [id, label] of labels) lines.push(`${id} ${label}\n`);
  const ids = lines.join("");
  await mkdir(dirname(dir), { recursive: true });
  const pending = await mkdtemp(join(dirname(dir), `.${basename(dir)}.partial-`));
  try {
    await writeVectors(vectorsFile(pending));
    await writeFlushed(join(pending, "ids"), ids);
    const manifest: IndexManifest = {
      format: 1,
      kind: index.kind,
      dimension: index.dimension,
      size: lines.length,
      about: { ...about },
      checksums: {
        ids: createHash("sha256").update(ids).digest("hex"),
        vectors: await sha256(vectorsFile(pending)),
      },
    };
    await writeFlushed(join(pending, "index.json"), `${JSON.stringify(manifest, null, 2)}\n`);
    await rm(dir, { recursive: true, force: true });
    await rename(pending, dir);
  } finally {
    await rm(pending, { recursive: true, force: true });
  }
}

/**
 * Reads what `writeIndex` wrote, all but the vectors, whose bytes are checked.
 * @throws BAD_INDEX when a file is missing, malformed or not what was written
 */
export async function readIndex(dir: string): Promise<SavedIndex> {
  const refuse = (detail: string, cause?: unknown): never => {
    throw new RoostError("BAD_INDEX", `${dir}: ${detail}`, cause);
  };
  let manifest: IndexManifest;
  let ids: string;
  let vectors: string;
  try {
    manifest = IndexManifest.parse(JSON.parse(await readFile(join(dir, "index.json"), "utf8")));
    ids = await readFile(join(dir, "ids"), "utf8");
    vectors = await sha256(vectorsFile(dir));
  } catch (error) {
    return refuse(error instanceof z.ZodError ? z.prettifyError(error) : String(error), error);
  }
  if (createHash("sha256").update(ids).digest("hex") !== manifest.checksums.ids)
    refuse("ids does not match its checksum");
  if (vectors !== manifest.checksums.vectors) refuse("vectors does not match its checksum");
  const labels = new Map<string, number>();
  for (const line of ids.split("\n")) {
    const space = line.indexOf(" ");
    if (space > 0) labels.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  if (labels.size !== manifest.size) refuse(`${labels.size} ids, not ${manifest.size}`);
  return { manifest, labels };
}

async function writeFlushed(path: string, text: string): Promise<void> {
  const file = await open(path, "w");
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }))
    hash.update(chunk as Buffer);
  return hash.digest("hex");
}
