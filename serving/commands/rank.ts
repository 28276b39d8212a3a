import { existsSync } from "node:fs";
import { Command, InvalidArgumentError } from "commander";
import { pino } from "pino";
import { RoostError } from "../../errors.ts";
import { type RankRequest, RankRequestSchema, type RankResponse } from "../http/schemas.ts";
import { previewRanking } from "../rank-service.ts";
import { servedItems } from "../served-record.ts";
import { openServer } from "../server.ts";
import type { Settings } from "../settings.ts";
import { settingsOf, withSettings } from "./settings-options.ts";
import { aligned, timelineTable } from "./timeline-table.ts";

export function rankCommand(): Command {
  return withSettings(
    new Command("rank")
      .description("print one user's ranked timeline; asks the running server when there is one")
      .requiredOption("--user <id>", "the viewer")
      .option("--product <name>", "for_you or following", "for_you")
      .option("--limit <n>", "posts", wholeNumber, 20)
      .option("--json", "print JSON"),
  ).action(async (flags: Record<string, unknown>) => {
    const settings = settingsOf(flags, { clock: "world" });
    const request = parse({ user_id: flags.user, product: flags.product, limit: flags.limit });
    process.stdout.write(`${await timeline(settings, request, flags.json === true)}\n`);
  });
}

function parse(fields: Record<string, unknown>): RankRequest {
  const parsed = RankRequestSchema.safeParse(fields);
  if (parsed.success) return parsed.data;
  const list = parsed.error.issues.map((i) => `${i.path.join(".")} ${i.message}`).join("; ");
  throw new RoostError("BAD_ARGUMENT", list);
}

async function timeline(settings: Settings, request: RankRequest, json: boolean): Promise<string> {
  try {
    return await fromDirectory(settings, request, json);
  } catch (error) {
    if (!(error instanceof RoostError && error.code === "DATA_DIR_LOCKED")) throw error;
    return fromServer(settings, request, json);
  }
}

async function fromDirectory(
  settings: Settings,
  request: RankRequest,
  json: boolean,
): Promise<string> {
  if (!existsSync(settings.dataDir))
    throw new RoostError(
      "BAD_DATASET",
      `there is no data directory ${settings.dataDir}; roost start makes one`,
    );
  const server = await openServer(settings, pino({ level: "silent" }), {
    configuration: "as_is",
  });
  try {
    // What a server that has been up for a while would answer.
    await server.retrievable();
    const answer = await previewRanking(server.rank, request, server.startedMs);
    return json
      ? JSON.stringify(servedItems(answer.table, answer.page), null, 2)
      : timelineTable(answer);
  } finally {
    await server.close();
  }
}

async function fromServer(
  settings: Settings,
  request: RankRequest,
  json: boolean,
): Promise<string> {
  const url = `http://${settings.host}:${settings.port}/v1/rank`;
  const response = await fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(settings.apiToken === undefined ? {} : { authorization: `Bearer ${settings.apiToken}` }),
    },
    body: JSON.stringify(request),
  }).catch((error: unknown) => {
    throw new RoostError("NOT_READY", `${url} does not answer`, error);
  });
  const body = (await response.json()) as RankResponse & { detail?: string };
  if (!response.ok)
    throw new RoostError("BAD_ARGUMENT", body.detail ?? `status ${response.status}`);
  if (json) return JSON.stringify(body, null, 2);
  return aligned([
    ["rank", "post", "author", "source", "followed", "score"],
    ...body.items.map((item) => [
      String(item.rank),
      item.post_id,
      item.author_id,
      item.source,
      item.in_network ? "yes" : "no",
      item.score.toFixed(5),
    ]),
  ]);
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value)) throw new InvalidArgumentError("must be a whole number");
  return value;
}
