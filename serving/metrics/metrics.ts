import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { FanOut } from "../../candidates/timelines/fan-out.ts";
import type { RetrievalStep } from "../state/retrieval-delay.ts";
import type { RankRecord } from "./rank-record.ts";

/** From a filter's tenth of a millisecond to the request timeout. */
const COMPONENT_SECONDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1,
];
const REQUEST_SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.25, 0.5, 1, 2.5, 10,
];

/** The numbers of one server. Each instance has its own registry, so that two servers in a process do not mix. */
export interface Metrics {
  readonly contentType: string;
  /** Prometheus text exposition. */
  text(): Promise<string>;
  requestStarted(): void;
  requestEnded(route: string, method: string, status: number, seconds: number): void;
  ranked(record: RankRecord): void;
  /** A ranking without an answer: only the components that it came to are counted, and their failures. */
  rankFailed(record: RankRecord): void;
  eventsTaken(type: string, status: string): void;
  /** The version in force; the one before it under the same kind and name disappears. */
  versionInForce(kind: string, name: string, checksum: string): void;
  /** How long a post took from the write API until retrieval found it, or a deleted one until it did not. */
  retrieval(step: RetrievalStep, seconds: number): void;
  /** Open streams of new posts. */
  streams(): { inc(): void; dec(): void };
  /** Events that wait aside while the log is away, read at each scrape. */
  spool(spool: { readonly spooled: number }): void;
  /** Deleted users, read at each scrape. */
  deletedUsers(counts: { readonly deletedUsers: number }): void;
  /** How fan-out does, read at each scrape. */
  fanOut(fanOut: FanOut): void;
  /** The registry, for parts that bring numbers of their own. */
  readonly registry: Registry;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const inFlight = new Gauge({
    name: "roost_http_requests_in_flight",
    help: "Requests being answered",
    registers,
  });
  const requests = new Histogram({
    name: "roost_http_request_seconds",
    help: "Time to answer a request, by route, method and status",
    labelNames: ["route", "method", "status"] as const,
    buckets: REQUEST_SECONDS,
    registers,
  });
  const pipelines = new Histogram({
    name: "roost_rank_pipeline_seconds",
    help: "Time inside the ranking pipeline, by product",
    labelNames: ["product"] as const,
    buckets: REQUEST_SECONDS,
    registers,
  });
  const items = new Histogram({
    name: "roost_rank_items",
    help: "Posts on the answered page, by product",
    labelNames: ["product"] as const,
    buckets: [0, 1, 5, 10, 20, 50, 100, 200],
    registers,
  });
  const components = new Histogram({
    name: "roost_component_seconds",
    help: "Time in a pipeline component",
    labelNames: ["stage", "component"] as const,
    buckets: COMPONENT_SECONDS,
    registers,
  });
  const rows = new Counter({
    name: "roost_component_rows_total",
    help: "Rows into and out of a pipeline component",
    labelNames: ["stage", "component", "direction"] as const,
    registers,
  });
  const failures = new Counter({
    name: "roost_component_failures_total",
    help: "Failures of a pipeline component, by kind",
    labelNames: ["component", "kind"] as const,
    registers,
  });
  const arms = new Counter({
    name: "roost_experiment_requests_total",
    help: "Rankings answered under an experiment arm",
    labelNames: ["experiment", "variation"] as const,
    registers,
  });
  const events = new Counter({
    name: "roost_events_total",
    help: "Events taken over HTTP, by type and result",
    labelNames: ["type", "status"] as const,
    registers,
  });
  const versions = new Gauge({
    name: "roost_version_info",
    help: "1 for the configuration version in force",
    labelNames: ["kind", "name", "checksum"] as const,
    registers,
  });
  const retrieval = new Histogram({
    name: "roost_post_retrieval_seconds",
    help: "Time from the write API until retrieval finds a post, or a deleted one no more",
    labelNames: ["step"] as const,
    buckets: REQUEST_SECONDS,
    registers,
  });
  const streams = new Gauge({
    name: "roost_streams",
    help: "Open streams of new posts",
    registers,
  });
  const inForce = new Map<string, string>();
  const gauge = (name: string, help: string, value: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect: function collect() {
        this.set(value());
      },
    });
  };

  const countComponents = ({ pipeline }: RankRecord): void => {
    for (const { stage, name, enabled, ms, rowsIn, rowsOut } of pipeline.components) {
      if (!enabled) continue;
      components.observe({ stage, component: name }, ms / 1_000);
      rows.inc({ stage, component: name, direction: "in" }, rowsIn);
      rows.inc({ stage, component: name, direction: "out" }, rowsOut);
    }
    for (const { component, kind } of pipeline.failures) failures.inc({ component, kind });
  };

  return {
    contentType: registry.contentType,
    registry,
    text: () => registry.metrics(),
    requestStarted: () => inFlight.inc(),
    requestEnded(route, method, status, seconds) {
      inFlight.dec();
      requests.observe({ route, method, status: String(status) }, seconds);
    },
    ranked(record) {
      const { product } = record;
      pipelines.observe({ product }, record.pipeline.totalMs / 1_000);
      items.observe({ product }, record.items);
      countComponents(record);
      for (const { key, variation } of record.experiments) {
        arms.inc({ experiment: key, variation: String(variation) });
      }
    },
    rankFailed: countComponents,
    eventsTaken: (type, status) => events.inc({ type, status }),
    retrieval: (step, seconds) => retrieval.observe({ step }, seconds),
    streams: () => streams,
    spool(spool) {
      const help = "Events that wait aside until Redis is back";
      gauge("roost_spooled_events", help, () => spool.spooled);
    },
    deletedUsers(counts) {
      const help = "Users whose deletion the log tells, accounts made later included";
      gauge("roost_deleted_users", help, () => counts.deletedUsers);
    },
    fanOut(fanOut) {
      const { load } = fanOut;
      gauge("roost_fan_out_waiting", "Timelines that wait to be written", () => fanOut.waiting);
      gauge(
        "roost_fan_out_arrived_per_s",
        "Timelines to be written that come a second",
        () => load.arrivedPerS,
      );
      gauge(
        "roost_fan_out_written_per_s",
        "Timelines that are written a second while work waits",
        () => load.writtenPerS,
      );
      gauge(
        "roost_fan_out_completion_seconds",
        "How long what comes now will wait",
        () => load.completionS,
      );
      gauge("roost_fan_out_failing", "1 while the store of timelines refuses writes", () =>
        fanOut.failing ? 1 : 0,
      );
      const states = new Gauge({
        name: "roost_fan_out_state",
        help: "1 for the state of load that fan-out is in, with why",
        labelNames: ["state", "reason"] as const,
        registers,
        collect() {
          this.reset();
          this.set({ state: load.state, reason: load.reason }, 1);
        },
      });
      void states;
    },
    versionInForce(kind, name, checksum) {
      const before = inForce.get(`${kind}/${name}`);
      if (before !== undefined) versions.remove({ kind, name, checksum: before });
      inForce.set(`${kind}/${name}`, checksum);
      versions.set({ kind, name, checksum }, 1);
    },
  };
}
