// The entry of every worker thread: a `.ts` target needs the tsx loader registered inside the thread first,
// because worker threads do not inherit it from `node --import tsx` or from vitest.
import { workerData } from "node:worker_threads";

if (workerData.target.endsWith(".ts")) {
  const { register } = await import("tsx/esm/api");
  register();
}
await import(workerData.target);
