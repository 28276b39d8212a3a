import { parentPort, workerData } from "node:worker_threads";
import { HnswGraph, type HnswLibrary } from "./hnsw-graph.ts";
import type { HnswReply, HnswRequest, HnswSettings, HnswWork } from "./hnsw-messages.ts";

/** A worker thread with one graph: hnswlib-node's calls are synchronous and block the thread that makes them. */
const port = parentPort;
if (port === null) throw new Error("hnsw-worker.ts runs in a worker thread only");
const settings = workerData as HnswSettings;
const reply = (message: HnswReply): void => port.postMessage(message);

try {
  // CommonJS: its exports may arrive under `default` only.
  const module = (await import("hnswlib-node")) as unknown as {
    default?: HnswLibrary;
  } & HnswLibrary;
  const graph = new HnswGraph(module.default ?? module, settings);
  let rebuilding = false;
  port.on("message", ({ id, work }: HnswRequest) => {
    if (work.kind === "search") {
      // The one that is waited for: answered without a turn of promises.
      try {
        reply({ kind: "done", id, found: graph.search(work.query, work.k, work.candidates) });
      } catch (error) {
        reply({ kind: "failed", id, detail: (error as Error).message });
      }
      return;
    }
    void answer(graph, work)
      .then((result) => reply({ kind: "done", id, ...result }))
      .catch((error: Error) => reply({ kind: "failed", id, detail: error.message }));
    if (work.kind === "remove" && !rebuilding) rebuild();
  });
  const rebuild = (): void => {
    rebuilding = graph.rebuildStep();
    if (rebuilding) setImmediate(rebuild);
  };
  reply({ kind: "ready" });
} catch (error) {
  reply({ kind: "refused", detail: (error as Error).message });
}

async function answer(
  graph: HnswGraph,
  work: Exclude<HnswWork, { kind: "search" }>,
): Promise<{ facts?: ReturnType<HnswGraph["facts"]> }> {
  switch (work.kind) {
    case "add":
      graph.add(work.labels, work.vectors);
      return {};
    case "remove":
      graph.remove(work.labels);
      return {};
    case "save":
      await graph.save(work.path);
      return {};
    case "load":
      graph.load(work.path, work.live);
      return {};
    case "facts":
      return { facts: graph.facts() };
  }
}
