import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { ENTITIES } from "../../features/entities.ts";
import { type LoadedFeatures, READ_STATUSES } from "../../features/redis/loaded-features.ts";
import type { RedisFeatureReads } from "../../features/redis/redis-reads.ts";
import type { FeatureUsage } from "../../features/usage.ts";

/** From what was fetched for this request to the oldest copy that may stand in for what cannot be fetched. */
const AGE_SECONDS = [0.001, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export interface FeatureFigures {
  /** What the state takes; undefined while that is not known. Asked for at each scrape, so it must be at hand. */
  readonly usage: () => FeatureUsage | undefined;
  /** How requests read state that is not in this process. */
  readonly reads?: Pick<RedisFeatureReads, "counts" | "onLoaded">;
}

/** Figures of feature state: what it takes by entity, and on Redis what reads came to and how old it was. */
export function featureMetrics(registry: Registry, { usage, reads }: FeatureFigures): void {
  const registers = [registry];
  const gauge = (name: string, help: string, figure: "bytes" | "entities"): void => {
    new Gauge({
      name,
      help,
      labelNames: ["entity"] as const,
      registers,
      collect() {
        const now = usage();
        if (now === undefined) return;
        for (const entity of ENTITIES) this.set({ entity }, now[entity][figure]);
      },
    });
  };
  gauge("roost_feature_bytes", "Memory or disk that feature state takes, by entity", "bytes");
  gauge("roost_feature_entities", "Entities that have feature state", "entities");
  if (reads === undefined) return;
  const { counts } = reads;
  new Counter({
    name: "roost_feature_reads_total",
    help: "Values of feature state read for requests, by entity and what the reading came to",
    labelNames: ["entity", "status"] as const,
    registers,
    collect() {
      this.reset();
      for (const entity of ENTITIES)
        for (const status of READ_STATUSES) this.inc({ entity, status }, counts[entity][status]);
    },
  });
  const ages = new Histogram({
    name: "roost_feature_age_seconds",
    help: "Age of the oldest copy of feature state that a request was given",
    buckets: AGE_SECONDS,
    registers,
  });
  reads.onLoaded(({ oldestMs }: LoadedFeatures) => ages.observe(oldestMs / 1_000));
}
