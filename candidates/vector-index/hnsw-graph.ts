import { open } from "node:fs/promises";
import type { HierarchicalNSW } from "hnswlib-node";
import type { HnswFacts, HnswFound, HnswSettings } from "./hnsw-messages.ts";

export type HnswLibrary = { readonly HierarchicalNSW: typeof HierarchicalNSW };

const FIRST_CAPACITY = 4096;
/** Below this many deleted nodes a graph is not worth building anew. */
const LEAST_DELETED = 256;
/** Nodes added to a graph under construction between two messages: about 2 ms that a search may have to wait. */
const REBUILD_STEP = 8;
/** Fixed, so that the same calls in the same order give the same graph. */
const SEED = 100;

/**
 * A graph of hnswlib with live adds and deletes. Labels are never used twice. A deleted node's place is taken by a later
 * one; when too many are deleted a second graph is built in small steps, kept up with the first, and put in its place.
 */
export class HnswGraph {
  readonly #library: HnswLibrary;
  readonly #settings: HnswSettings;
  #graph: HierarchicalNSW;
  readonly #live = new Set<number>();
  #deleted = 0;
  #rebuilds = 0;
  #next: { graph: HierarchicalNSW; pending: number[]; deleted: number } | undefined;

  constructor(library: HnswLibrary, settings: HnswSettings) {
    this.#library = library;
    this.#settings = settings;
    this.#graph = this.#empty(FIRST_CAPACITY);
  }

  facts(): HnswFacts {
    return {
      live: this.#live.size,
      deleted: this.#deleted,
      capacity: this.#graph.getMaxElements(),
      rebuilds: this.#rebuilds,
    };
  }

  /** @param vectors [labels, dimension] */
  add(labels: Int32Array, vectors: Float32Array): void {
    const d = this.#settings.dimension;
    for (let i = 0; i < labels.length; i++) {
      const label = labels[i] as number;
      const point = Array.from(vectors.subarray(i * d, (i + 1) * d));
      this.#deleted = this.#put(this.#graph, point, label, this.#deleted);
      if (this.#next !== undefined)
        this.#next.deleted = this.#put(this.#next.graph, point, label, this.#next.deleted);
      this.#live.add(label);
    }
  }

  remove(labels: Int32Array): void {
    for (const label of labels) {
      if (!this.#live.delete(label)) continue;
      this.#graph.markDelete(label);
      this.#deleted++;
      if (this.#next === undefined) continue;
      // One that waits is skipped when its turn comes; one that was added is deleted there too.
      if (this.#isIn(this.#next.graph, label)) {
        this.#next.graph.markDelete(label);
        this.#next.deleted++;
      }
    }
    const { rebuildShare } = this.#settings;
    if (
      this.#next === undefined &&
      this.#deleted >= LEAST_DELETED &&
      this.#deleted > rebuildShare * this.#live.size
    )
      this.#next = {
        graph: this.#empty(Math.max(FIRST_CAPACITY, Math.ceil(1.25 * this.#live.size))),
        pending: [...this.#live],
        deleted: 0,
      };
  }

  search(query: Float32Array, k: number, candidates: number): HnswFound {
    const wanted = Math.min(k, this.#live.size);
    if (wanted === 0) return { labels: new Int32Array(0), scores: new Float32Array(0) };
    this.#graph.setEf(Math.max(candidates, wanted));
    const { neighbors, distances } = this.#graph.searchKnn(Array.from(query), wanted);
    // Loops: `from` with a function takes as long as a message to another thread.
    const labels = new Int32Array(neighbors.length);
    const scores = new Float32Array(neighbors.length);
    for (let i = 0; i < labels.length; i++) {
      labels[i] = neighbors[i] as number;
      scores[i] = 1 - (distances[i] as number);
    }
    return { labels, scores };
  }

  /** Takes one step of a rebuild; false when there is none under way. */
  rebuildStep(): boolean {
    const next = this.#next;
    if (next === undefined) return false;
    for (let i = 0; i < REBUILD_STEP; i++) {
      const label = next.pending.pop();
      if (label === undefined) {
        this.#graph = next.graph;
        this.#deleted = next.deleted;
        this.#rebuilds++;
        this.#next = undefined;
        return false;
      }
      if (!this.#live.has(label)) continue;
      next.deleted = this.#put(next.graph, this.#graph.getPoint(label), label, next.deleted);
    }
    return true;
  }

  async save(path: string): Promise<void> {
    this.#graph.writeIndexSync(path);
    const file = await open(path, "r+");
    await file.sync();
    await file.close();
  }

  /** @param live labels that are not deleted */
  load(path: string, live: Int32Array): void {
    const graph = new this.#library.HierarchicalNSW("ip", this.#settings.dimension);
    graph.readIndexSync(path, true);
    this.#graph = graph;
    this.#next = undefined;
    this.#live.clear();
    for (const label of live) this.#live.add(label);
    this.#deleted = graph.getCurrentCount() - this.#live.size;
  }

  #empty(capacity: number): HierarchicalNSW {
    const { dimension, links, buildCandidates } = this.#settings;
    const graph = new this.#library.HierarchicalNSW("ip", dimension);
    graph.initIndex(capacity, links, buildCandidates, SEED, true);
    return graph;
  }

  /** Adds a point in a deleted one's place where there is one; returns how many deleted ones remain. */
  #put(graph: HierarchicalNSW, point: number[], label: number, deleted: number): number {
    if (deleted > 0) {
      graph.addPoint(point, label, true);
      return deleted - 1;
    }
    if (graph.getCurrentCount() >= graph.getMaxElements())
      graph.resizeIndex(Math.ceil(1.5 * graph.getMaxElements()));
    graph.addPoint(point, label, false);
    return 0;
  }

  #isIn(graph: HierarchicalNSW, label: number): boolean {
    try {
      graph.getPoint(label);
      return true;
    } catch {
      return false;
    }
  }
}
