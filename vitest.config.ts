import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: [
      "{datasets,experiments,features,candidates,training,serving}/**/*.test.ts",
      "*.test.ts",
    ],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
