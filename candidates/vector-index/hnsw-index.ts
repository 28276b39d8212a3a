import { Worker } from "node:worker_threads";
import { RoostError } from "../../errors.ts";
import { checkVectors } from "./check-vectors.ts";
import type {
  HnswFacts,
  HnswFound,
  HnswReply,
  HnswRequest,
  HnswSettings,
  HnswWork,
} from "./hnsw-messages.ts";
import { IdByLabel } from "./id-by-label.ts";
import { readIndex, vectorsFile, writeIndex } from "./index-files.ts";
import type { Neighbours, VectorIndex } from "./vector-index.ts";

/** In a build the sources are `.js`; the text of a URL is not rewritten by the compiler as imports are. */
const EXTENSION = import.meta.url.endsWith(".ts") ? "ts" : "js";
const TARGET = new URL(`./hnsw-worker.${EXTENSION}`, import.meta.url).href;
const ENTRY = new URL("../../worker.mjs", import.meta.url);

export interface HnswOptions {
  /** Links a node and layer; 16 is the usual for tens of dimensions. */
  readonly links?: number;
  /** Candidates looked at while adding. */
  readonly buildCandidates?: number;
  /** Nodes that a search keeps in view, over k: more find more and take longer. 1.6 finds .99 of tower vectors. */
  readonly candidatesPerResult?: number;
  /** Deleted nodes over live ones from which on the graph is built anew: they cost memory and a search walks them. */
  readonly rebuildShare?: number;
}

interface Waiting {
  readonly resolve: (reply: { found?: HnswFound; facts?: HnswFacts }) => void;
  readonly reject: (error: Error) => void;
}

/** Fewest nodes in view: short answers need slack too. */
const LEAST_CANDIDATES = 100;

/** Approximate search in an HNSW graph of hnswlib, in a worker thread of its own. */
export class HnswIndex implements VectorIndex {
  readonly kind = "hnsw";
  readonly dimension: number;
  readonly #worker: Worker;
  readonly #candidatesPerResult: number;
  readonly #waiting = new Map<number, Waiting>();
  readonly #labels = new Map<string, number>();
  readonly #idOf = new IdByLabel();
  #nextLabel = 0;
  #nextRequest = 0;
  #failure: RoostError | undefined;

  private constructor(dimension: number, worker: Worker, options: HnswOptions) {
    this.dimension = dimension;
    this.#worker = worker;
    this.#candidatesPerResult = options.candidatesPerResult ?? 1.6;
    worker.on("message", (message: HnswReply) => this.#receive(message));
    worker.on("error", (error) => this.#end(error.message));
    worker.on("exit", () => this.#end("its worker ended"));
  }

  /** @throws NOT_READY when hnswlib-node is not installed or cannot be loaded */
  static async open(dimension: number, options: HnswOptions = {}): Promise<HnswIndex> {
    const settings: HnswSettings = {
      dimension,
      links: options.links ?? 16,
      buildCandidates: options.buildCandidates ?? 200,
      rebuildShare: options.rebuildShare ?? 0.5,
    };
    const worker = new Worker(ENTRY, { workerData: { target: TARGET, ...settings } });
    try {
      await new Promise<void>((resolve, reject) => {
        worker.once("message", (first: HnswReply) => {
          if (first.kind === "ready") resolve();
          else reject(new Error(first.kind === "refused" ? first.detail : "it said nothing"));
        });
        worker.once("error", reject);
      });
    } catch (error) {
      await worker.terminate();
      throw new RoostError("NOT_READY", `no HNSW index: ${(error as Error).message}`, error);
    }
    return new HnswIndex(dimension, worker, options);
  }

  /**
   * @throws BAD_INDEX when what is there is damaged or no HNSW index
   * @throws NOT_READY as `open`
   */
  static async load(dir: string, options: HnswOptions = {}): Promise<HnswIndex> {
    const { manifest, labels } = await readIndex(dir);
    if (manifest.kind !== "hnsw")
      throw new RoostError("BAD_INDEX", `${dir} holds no HNSW index but an ${manifest.kind} one`);
    const index = await HnswIndex.open(manifest.dimension, options);
    try {
      const live = Int32Array.from(labels.values());
      await index.#ask({ kind: "load", path: vectorsFile(dir), live }, [live.buffer]);
    } catch (error) {
      await index.close();
      throw new RoostError("BAD_INDEX", `${dir}: ${(error as Error).message}`, error);
    }
    for (const [id, label] of labels) {
      index.#labels.set(id, label);
      index.#idOf.set(label, id);
      index.#nextLabel = Math.max(index.#nextLabel, label + 1);
    }
    return index;
  }

  get size(): number {
    return this.#labels.size;
  }

  has(id: string): boolean {
    return this.#labels.has(id);
  }

  ids(): Iterable<string> {
    return this.#labels.keys();
  }

  async add(ids: readonly string[], vectors: Float32Array): Promise<void> {
    checkVectors(vectors, ids.length, this.dimension);
    // The last vector of an id that comes twice counts.
    const lastOf = new Map(ids.map((id, i) => [id, i]));
    const removed = this.#forget(lastOf.keys());
    const labels = new Int32Array(lastOf.size);
    const copy = new Float32Array(lastOf.size * this.dimension);
    let n = 0;
    for (const [id, i] of lastOf) {
      const label = this.#nextLabel++;
      labels[n] = label;
      copy.set(vectors.subarray(i * this.dimension, (i + 1) * this.dimension), n * this.dimension);
      this.#labels.set(id, label);
      this.#idOf.set(label, id);
      n++;
    }
    await Promise.all([
      this.#send(removed),
      this.#ask({ kind: "add", labels, vectors: copy }, [labels.buffer, copy.buffer]),
    ]);
  }

  async remove(ids: readonly string[]): Promise<void> {
    await this.#send(this.#forget(ids));
  }

  async search(query: Float32Array, k: number): Promise<Neighbours> {
    checkVectors(query, 1, this.dimension);
    const candidates = Math.max(LEAST_CANDIDATES, Math.ceil(this.#candidatesPerResult * k));
    // A message copies the whole buffer behind a view; handing over costs more than a copy this small.
    const { found } = await this.#ask({ kind: "search", query: query.slice(), k, candidates });
    const { labels, scores } = found as HnswFound;
    const ids: string[] = [];
    const kept = new Float32Array(labels.length);
    for (let i = 0; i < labels.length; i++) {
      // Removed while the search was under way.
      const id = this.#idOf.get(labels[i] as number);
      if (id === undefined) continue;
      kept[ids.length] = scores[i] as number;
      ids.push(id);
    }
    return { ids, scores: kept.subarray(0, ids.length) };
  }

  /** How full the graph is and how often it was built anew. */
  async facts(): Promise<HnswFacts> {
    const { facts } = await this.#ask({ kind: "facts" });
    return facts as HnswFacts;
  }

  async save(dir: string, about: Readonly<Record<string, string>>): Promise<void> {
    // Messages keep their order: the graph is written as these labels say, whatever is added meanwhile.
    const labels = [...this.#labels];
    await writeIndex(dir, this, about, labels, async (path) => {
      await this.#ask({ kind: "save", path });
    });
  }

  async close(): Promise<void> {
    this.#end("it was closed");
    await this.#worker.terminate();
  }

  /** Takes ids out of the maps and returns their labels. */
  #forget(ids: Iterable<string>): Int32Array {
    const labels: number[] = [];
    for (const id of ids) {
      const label = this.#labels.get(id);
      if (label === undefined) continue;
      this.#labels.delete(id);
      this.#idOf.delete(label);
      labels.push(label);
    }
    return Int32Array.from(labels);
  }

  async #send(removed: Int32Array): Promise<void> {
    if (removed.length > 0)
      await this.#ask({ kind: "remove", labels: removed }, [removed.buffer as ArrayBuffer]);
  }

  #ask(
    work: HnswWork,
    transfer: ArrayBufferLike[] = [],
  ): Promise<{ found?: HnswFound; facts?: HnswFacts }> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const id = this.#nextRequest++;
      this.#waiting.set(id, { resolve, reject });
      const request: HnswRequest = { id, work };
      this.#worker.postMessage(request, transfer as ArrayBuffer[]);
    });
  }

  #receive(message: HnswReply): void {
    if (message.kind !== "done" && message.kind !== "failed") return;
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.kind === "done") waiting?.resolve(message);
    else waiting?.reject(new RoostError("INTERNAL", `the vector index: ${message.detail}`));
  }

  #end(reason: string): void {
    this.#failure ??= new RoostError("NOT_READY", `the vector index cannot be used: ${reason}`);
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
  }
}
