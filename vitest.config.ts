import { defineConfig } from "vitest/config";
import type { Reporter, TestModule } from "vitest/node";

/** Ends the run with one line that says how many tests there were. */
const summary: Reporter = {
  onTestRunEnd(modules: readonly TestModule[], unhandled) {
    let passed = 0;
    let failed = unhandled.length;
    let skipped = 0;
    for (const module of modules) {
      if (module.errors().length > 0) failed++;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "passed") passed++;
        else if (state === "failed") failed++;
        else skipped++;
      }
    }
    const tail = skipped > 0 ? `, ${skipped} skipped` : "";
    process.stdout.write(`\n${passed} passed, ${failed} failed${tail}\n`);
  },
};

export default defineConfig({
  test: {
    include: [
      "{datasets,experiments,features,candidates,training,serving}/**/*.test.ts",
      "*.test.ts",
    ],
    globalSetup: ["datasets/storage/install-redis.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: [["default", { summary: false }], summary],
  },
});
