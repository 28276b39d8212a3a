import { parentPort } from "node:worker_threads";

// A session thread that ends itself at its first run, before native code is entered: ending a thread from outside in the
// middle of native code can take the test's process with it.
parentPort?.on("message", () => process.exit(1));
await import("./session-worker.ts");
