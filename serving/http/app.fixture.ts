import { Writable } from "node:stream";
import { pino } from "pino";
import type { Event } from "../../datasets/events.ts";
import { createMetrics } from "../metrics/metrics.ts";
import type { RankRecord } from "../metrics/rank-record.ts";
import { loadSettings } from "../settings.ts";
import { type App, type AppOptions, createApp, type HttpSettings } from "./app.ts";
import type { RankRequest, RankResponse } from "./schemas.ts";
import type { AppendResult, RankAnswer, RankCall } from "./services.ts";

export const NOW_MS = 1_760_000_000_000;

export const record: RankRecord = {
  product: "for_you",
  pipeline: {
    components: [
      {
        stage: "sources",
        name: "in_network",
        rule: "in_network",
        enabled: true,
        ms: 1.5,
        rowsIn: 0,
        rowsOut: 40,
      },
      {
        stage: "filters",
        name: "max_age",
        rule: "max_age",
        enabled: true,
        ms: 0.1,
        rowsIn: 40,
        rowsOut: 31,
      },
      {
        stage: "filters",
        name: "self",
        rule: "self",
        enabled: false,
        ms: 0,
        rowsIn: 0,
        rowsOut: 0,
      },
    ],
    stageMs: { sources: 1.5, filters: 0.1 },
    failures: [{ component: "trending", kind: "late" }],
    totalMs: 7.5,
  },
  items: 1,
  weightsChecksum: "w1",
  experiments: [{ key: "weights-test", variation: 1 }],
  modelVersions: { heavy: "h1" },
};

export const answerTo = (request: RankRequest, { requestId }: RankCall): RankAnswer => ({
  response: {
    request_id: requestId,
    items: [
      { post_id: "7", author_id: "8", rank: 1, score: 0.5, source: "in_network", in_network: true },
    ],
    cursor: null,
    model_versions: { heavy: "h1" },
    weights_checksum: "w1",
    experiments: [],
    degraded: [{ component: "trending", kind: "late" }],
  } satisfies RankResponse,
  record: { ...record, product: request.product },
});

export interface TestApp extends App {
  readonly ranked: { request: RankRequest; call: RankCall }[];
  readonly appended: Event[][];
  readonly lines: Record<string, unknown>[];
}

/** An app over recording services; `overrides` replaces any of them. */
export async function testApp(
  overrides: Partial<Omit<AppOptions, "settings">> & { settings?: Partial<HttpSettings> } = {},
): Promise<TestApp> {
  const ranked: TestApp["ranked"] = [];
  const appended: Event[][] = [];
  const lines: Record<string, unknown>[] = [];
  const sink = new Writable({
    write(chunk, _encoding, done) {
      for (const line of String(chunk).trim().split("\n")) lines.push(JSON.parse(line));
      done();
    },
  });
  const { settings, ...services } = overrides;
  const app = await createApp({
    rank: {
      rank: async (request, call) => {
        ranked.push({ request, call });
        return answerTo(request, call);
      },
    },
    events: {
      append: async (events) => {
        appended.push([...events]);
        return { results: events.map((): AppendResult => ({ status: "accepted" })) };
      },
    },
    weights: {
      current: () => ({
        name: "world",
        checksum: "w1",
        weights: { favorite: 0.5 },
        parameters: {},
      }),
    },
    health: { live: () => true, ready: () => ({ ready: true, reasons: [] }) },
    clock: { kind: "wall", nowMs: () => NOW_MS },
    metrics: createMetrics(),
    logger: pino({ level: "info" }, sink),
    settings: { ...loadSettings({ env: {} }), ...settings },
    ...services,
  });
  return { ...app, ranked, appended, lines };
}
