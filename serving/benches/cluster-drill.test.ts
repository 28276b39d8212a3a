import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { random } from "../../datasets/random.ts";
import { REDIS_MISSING, startRedisCluster } from "../../datasets/storage/redis-server.fixture.ts";
import { finallyDo, freshSpace, NODE_ARGS } from "../space.fixture.ts";
import { ClusterDrill } from "./cluster-drill.ts";
import { checkAfterCrash } from "./crash-check.ts";

test.skipIf(REDIS_MISSING)(
  "a server on a cluster loses and doubles nothing while slots move and a master dies, and answers readers all along (needs redis-server)",
  { timeout: 300_000 },
  async () => {
    const cluster = await startRedisCluster(3, 1, { durable: true });
    finallyDo(() => cluster.stop());
    const dataDir = mkdtempSync(join(tmpdir(), "roost-drill-"));
    finallyDo(async () => rmSync(dataDir, { recursive: true, force: true }));
    const drill = new ClusterDrill({
      cluster,
      dataDir,
      prefix: "drill:",
      modelDir: join(await freshSpace(), "models"),
      nodeArgs: NODE_ARGS,
      random: random(13, "cluster"),
      nowMs: Date.now,
    });
    const [migration, failover] = await drill.endure(["migration", "log_failover"]);
    expect(migration?.slots).toBeGreaterThan(10);
    expect(failover?.refusals).toBeGreaterThan(0);
    for (const round of [migration, failover]) {
      expect(round?.failures).toEqual([]);
      expect(round?.reads).toBeGreaterThan(0);
    }
    const { acknowledged } = drill.load;
    const { lost, doubled, differing } = await checkAfterCrash(
      dataDir,
      acknowledged,
      drill.redisUrl,
    );
    expect({ lost, doubled, differing }).toEqual({ lost: [], doubled: [], differing: [] });
    expect(acknowledged.size).toBeGreaterThan(400);
  },
);
