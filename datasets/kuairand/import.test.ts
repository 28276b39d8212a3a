import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { DuckDBInstance } from "@duckdb/node-api";
import { afterEach, beforeEach, expect, test } from "vitest";
import { importCommand } from "../commands/import.ts";
import { readManifest, segmentsDir } from "../dataset.ts";
import { type Event, EventSchema, type LoggedEvent } from "../events.ts";
import { readSegments } from "../log/segments.ts";
import { importKuaiRand } from "./import.ts";
import { SIGNALS } from "./log-rows.ts";

let dir: string;
let data: string;
let out: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "roost-kuairand-"));
  data = path.join(dir, "csv");
  out = path.join(dir, "out");
  mkdirSync(data);
});
afterEach(() => rm(dir, { recursive: true, force: true }));

// 25 April 2022, 10:00 in China.
const T = Date.UTC(2022, 3, 25, 2);
const LOG_COLUMNS = [
  "user_id,video_id,date,hourmin,time_ms",
  SIGNALS.map(([column]) => column).join(","),
  "play_time_ms,duration_ms,is_rand,tab",
].join(",");
/** One log row; `signals` in the order of SIGNALS. */
const row = (user: string, video: string, time: number | string, signals: string, play: string) =>
  `${user},${video},20220425,1000,${time},${signals},${play},9000,0,1`;
const NONE = "0,0,0,0,0,0,0,0";

const put = (name: string, lines: readonly string[]): void => {
  const text = `${lines.join("\n")}\n`;
  writeFileSync(path.join(data, name), name.endsWith(".gz") ? gzipSync(text) : text);
};
const profiles = (): void => {
  put("user_features_pure.csv", [
    "user_id,user_active_degree,is_live_streamer,follow_user_num_range,register_days,mystery",
    '0,full_active,-124,"(250,500]",10,x',
    "1,UNKNOWN,1,0,5.0,y",
  ]);
  put("video_features_basic_pure.csv", [
    "video_id,author_id,video_type,upload_dt,upload_type,video_duration,tag",
    '10,900,NORMAL,2022-04-10,Web,9000.0,"39,4"',
    "11,901,AD,,Web,,",
  ]);
};
const events = async (): Promise<LoggedEvent[]> => {
  const all: LoggedEvent[] = [];
  for await (const batch of readSegments(segmentsDir(out), { order: "seq" })) all.push(...batch);
  return all;
};
const plain = ({ seq: _, ...event }: LoggedEvent): Event => event as Event;

test("a log row becomes an impression at its time and engagements when the play has ended", async () => {
  profiles();
  put("log_standard_4_25_to_4_25.csv", [LOG_COLUMNS, row("0", "10", T, "1,1,0,0,0,0,1,1", "2500")]);
  await importKuaiRand({ dir: data, out });
  const all = (await events()).map(plain);
  const subject = { user_id: "0", post_id: "10", author_id: "900" };
  const request_id = "log_standard_4_25_to_4_25:1";
  const outcome = { type: "engagement", time_ms: T + 2500, ...subject, request_id, surface: "1" };
  expect(all.filter((e) => "request_id" in e)).toEqual([
    {
      type: "impression",
      time_ms: T,
      request_id,
      ...subject,
      position: 0,
      policy: "standard",
      surface: "1",
    },
    { ...outcome, head: "click" },
    { ...outcome, head: "favorite" },
    { ...outcome, head: "long_view" },
    { ...outcome, head: "profile_click" },
    { ...outcome, head: "dwell_seconds", value: 2.5 },
  ]);
  for (const event of all) expect(EventSchema.parse(event)).toEqual(event);
});

test("the data set says what it holds: heads, the log's first impression, China's days, counts", async () => {
  profiles();
  put("log_standard_a.csv", [
    LOG_COLUMNS,
    row("0", "10", T + 50, "1,0,0,0,0,0,0,0", "700"),
    row("0", "10", T, NONE, "0"),
  ]);
  const report = await importKuaiRand({ dir: data, out });
  expect(readManifest(out)).toMatchObject({
    source: "kuairand",
    heads: SIGNALS.map(([, head]) => head),
    from_ms: T,
    to_ms: T + 750,
    utc_offset_hours: 8,
    events: (await events()).length,
    impressions: 2,
  });
  expect(JSON.parse(readFileSync(path.join(out, "import.json"), "utf8"))).toEqual(report);
});

test("users and videos carry their columns as numbers; what is unknown is left out", async () => {
  profiles();
  put("log_standard_x.csv", [LOG_COLUMNS, row("0", "11", T, NONE, "0")]);
  const report = await importKuaiRand({ dir: data, out });
  const all = (await events()).map(plain);
  const midnight = Date.UTC(2022, 3, 24, 16);
  const [user0, user1] = ["0", "1"].map((id) =>
    all.find((e) => e.type === "user_created" && e.user_id === id),
  );
  expect(user0).toMatchObject({
    time_ms: midnight - 10 * 86_400_000,
    utc_offset_minutes: 480,
    attributes: { user_active_degree: 8, follow_user_num_range: 250, register_days: 10 },
  });
  expect(user1).toMatchObject({ attributes: { is_live_streamer: 1, register_days: 5 } });
  const [post10, post11] = ["10", "11"].map((id) =>
    all.find((e) => e.type === "post_created" && e.post_id === id),
  );
  expect(post10).toMatchObject({
    time_ms: Date.UTC(2022, 3, 9, 16),
    author_id: "900",
    topics: ["39", "4"],
    media: "video",
    video_ms: 9000,
  });
  // No date: the log's first day. No duration: the log's.
  expect(post11).toMatchObject({ time_ms: midnight, topics: [], video_ms: 9000 });
  expect(report.posts_without_date).toBe(1);
  expect(report.files.find((f) => f.file.startsWith("user"))?.unused_columns).toEqual(["mystery"]);
});

test("rows that are equal in every field stay two impressions and are counted", async () => {
  profiles();
  const twice = row("0", "10", T, "1,0,0,0,0,0,0,0", "1000");
  put("log_standard_a.csv", [LOG_COLUMNS, twice, twice, row("0", "10", T, NONE, "1000")]);
  const report = await importKuaiRand({ dir: data, out });
  expect([report.impressions, report.exact_duplicates]).toEqual([3, 1]);
  const requests = (await events()).flatMap((e) => (e.type === "impression" ? e.request_id : []));
  expect(requests).toEqual(["log_standard_a:1", "log_standard_a:2", "log_standard_a:3"]);
});

test("every refused row is counted under its reason, and read = kept + refused", async () => {
  profiles();
  put("log_standard_a.csv", [
    LOG_COLUMNS,
    row("0", "10", T, NONE, "1"),
    row("0", "10", "later", NONE, "1"),
    row("0", "10", T, NONE, "-5"),
    row("0", "10", T, NONE, "86400001"),
    row("0", "10", T, "1,0,0,2,0,0,0,0", "1"),
    row("0", "10", T, "1,,0,0,0,0,0,0", "1"),
    row("x", "10", T, NONE, "1"),
    row("0", "1e1", T, NONE, "1"),
    row("77", "10", T, NONE, "1"),
    row("0", "88", T, NONE, "1"),
    `${row("0", "10", T, NONE, "1")},surplus`,
    "0,10",
  ]);
  const report = await importKuaiRand({ dir: data, out });
  const log = report.files.find((f) => f.file === "log_standard_a.csv");
  expect(log?.refused).toEqual({
    "malformed time_ms": 1,
    "malformed play_time_ms": 2,
    "malformed is_comment": 1,
    "malformed is_like": 1,
    "malformed user_id": 1,
    "malformed video_id": 1,
    "unknown user": 1,
    "unknown video": 1,
    "wrong number of fields": 2,
  });
  expect([log?.read, log?.kept]).toEqual([12, 1]);
});

test("logs of several files, days and editions, plain and gzip, make one log in time order", async () => {
  profiles();
  const header = `is_rand,tab,extra,${LOG_COLUMNS.replace(",is_rand,tab", "")}`;
  const reordered = (time: number) =>
    `1,4,z,${row("1", "10", time, NONE, "500").replace(/,0,1$/, "")}`;
  put("log_random_4_22_to_5_08_pure.csv.gz", [header, reordered(T + 100), reordered(T - 100)]);
  put("log_standard_4_08_to_4_21_pure.csv", [LOG_COLUMNS, row("0", "10", T, NONE, "300")]);
  put("log_standard_4_08_to_4_21_pure.csv.gz", ["the same file, compressed: not read"]);
  const report = await importKuaiRand({ dir: data, out });
  expect(report.files.map((f) => f.file).filter((f) => f.startsWith("log"))).toEqual([
    "log_random_4_22_to_5_08_pure.csv.gz",
    "log_standard_4_08_to_4_21_pure.csv",
  ]);
  expect(report.files.find((f) => f.file.includes("random"))?.unused_columns).toEqual(["extra"]);
  const all = await events();
  expect(all.map((e) => e.seq)).toEqual(all.map((_, i) => i + 1));
  expect(all.map((e) => e.time_ms)).toEqual(all.map((e) => e.time_ms).sort((a, b) => a - b));
  const shown = all.flatMap((e) =>
    e.type === "impression" ? [[e.time_ms - T, e.policy, e.surface]] : [],
  );
  expect(shown).toEqual([
    [-100, "random", "4"],
    [0, "standard", "1"],
    [100, "random", "4"],
  ]);
});

test("the authors' archive, with its files under data/, is found too", async () => {
  profiles();
  put("log_standard_a.csv", [LOG_COLUMNS, row("0", "10", T, NONE, "1")]);
  const archive = path.join(dir, "KuaiRand-Pure");
  mkdirSync(archive);
  renameSync(data, path.join(archive, "data"));
  expect((await importKuaiRand({ dir: archive, out })).impressions).toBe(1);
});

test("history becomes engagements without request and impression, before the log and after the user", async () => {
  profiles();
  put("log_standard_a.csv", [LOG_COLUMNS, row("0", "10", T, NONE, "1")]);
  put("user_history_4_09_to_4_24.csv", [
    "user_id,history_len,last_time_ms,watch_seq,like_seq,long_watch_seq",
    `1,4,${T - 86_400_000},11 10 10 99,10,11 99`,
    `55,1,${T},10,10,10`,
  ]);
  const report = await importKuaiRand({ dir: data, out });
  const all = await events();
  const history = all.filter((e) => e.type === "engagement");
  expect(history.filter((e) => "request_id" in e && e.head !== "dwell_seconds")).toEqual([]);
  const seeded = history.filter((e) => !("request_id" in e));
  // Video 99 is not among the videos.
  expect(seeded.map((e) => ("head" in e ? `${e.head} ${e.post_id}` : "")).sort()).toEqual([
    "favorite 10",
    "long_view 11",
    "video_view 10",
    "video_view 10",
    "video_view 11",
  ]);
  expect(seeded.length).toBe(report.history_engagements);
  const user = all.find((e) => e.type === "user_created" && e.user_id === "1");
  expect(user).toMatchObject({ attributes: { history_impressions: 4 } });
  expect(user?.time_ms).toBeLessThan(Math.min(...seeded.map((e) => e.time_ms)));
  expect(report.files.find((f) => f.file.startsWith("user_history"))?.refused).toEqual({
    "unknown user": 1,
  });

  await rm(out, { recursive: true });
  expect((await importKuaiRand({ dir: data, out, history: false })).history_engagements).toBe(0);
});

test("missing files and columns, and an output that holds something, are refused by name", async () => {
  const run = () => importKuaiRand({ dir: data, out });
  await expect(run()).rejects.toThrow(/no log_standard/);
  put("log_standard_a.csv", [LOG_COLUMNS.replace(",is_like", ""), ""]);
  await expect(run()).rejects.toThrow(/no user_features/);
  profiles();
  await expect(run()).rejects.toMatchObject({
    code: "BAD_DATASET",
    message: expect.stringContaining("lacks the columns is_like"),
  });
  put("log_standard_a.csv", [LOG_COLUMNS, row("77", "10", T, NONE, "1")]);
  await expect(run()).rejects.toThrow(/no log row could be kept/);
  expect(readdirSync(dir)).toEqual(["csv"]);
  mkdirSync(out);
  writeFileSync(path.join(out, "something"), "");
  await expect(run()).rejects.toMatchObject({ code: "BAD_ARGUMENT" });
});

test("the same files make the same bytes", async () => {
  profiles();
  put("log_standard_a.csv", [
    LOG_COLUMNS,
    ...Array.from({ length: 500 }, (_, i) => row("0", "10", T + (i % 50), NONE, `${i % 9}`)),
  ]);
  const sums = async (to: string) => {
    await importKuaiRand({ dir: data, out: to });
    const names = readdirSync(segmentsDir(to)).sort();
    const bytes = names.map((name) => readFileSync(path.join(segmentsDir(to), name), "base64"));
    return { names, bytes, manifest: readManifest(to) };
  };
  const first = await sums(out);
  expect(await sums(path.join(dir, "again"))).toEqual(first);
});

test("the command prints its report as JSON or as text", async () => {
  profiles();
  put("log_standard_a.csv", [LOG_COLUMNS, row("0", "10", T, NONE, "1")]);
  const said = async (...args: string[]): Promise<string> => {
    let text = "";
    const write = process.stdout.write;
    process.stdout.write = (chunk) => {
      text += chunk;
      return true;
    };
    try {
      await importCommand().parseAsync(["kuairand", data, "--out", ...args], { from: "user" });
    } finally {
      process.stdout.write = write;
    }
    return text;
  };
  expect(JSON.parse(await said(out, "--json"))).toMatchObject({ impressions: 1, users: 2 });
  expect(await said(path.join(dir, "text"))).toMatch(/log_standard_a\.csv: 1 rows read, 1 kept/);
});

const pure = path.join(process.env.ROOST_SHARED ?? "../shared", "data/kuairand-pure");
test.skipIf(!existsSync(pure))(
  `KuaiRand-Pure: every signal of every row arrives, counted by another reader (skipped without ${pure})`,
  async () => {
    const report = await importKuaiRand({ dir: pure, out });
    expect(report.exact_duplicates).toBe(4677);
    expect(report.files.every((f) => f.read === f.kept)).toBe(true);
    const database = await DuckDBInstance.create(":memory:", { threads: "1" });
    const connection = await database.connect();
    const one = async (sql: string) => (await connection.runAndReadAll(sql)).getRowsJson();
    const log = `read_csv('${pure}/log_standard_*.csv.gz')`;
    const segments = `read_parquet('${segmentsDir(out)}/*.parquet')`;
    for (const [column, head] of SIGNALS) {
      // Per user, and with the time at which the outcome became known: a sum that a shift or a swap would break.
      const expected = await one(
        `SELECT user_id::UBIGINT, count(*), sum(time_ms + play_time_ms), sum(video_id)
         FROM ${log} WHERE ${column} = 1 GROUP BY 1 ORDER BY 1`,
      );
      const actual = await one(
        `SELECT user_id, count(*), sum(time_ms), sum(post_id)
         FROM ${segments} WHERE head = '${head}' AND request_id IS NOT NULL GROUP BY 1 ORDER BY 1`,
      );
      expect(actual).toEqual(expected);
    }
    expect(
      await one(`SELECT count(*), sum(time_ms), sum(user_id * 31 + post_id), count(DISTINCT request_id),
                 sum(surface::INT) FROM ${segments} WHERE type = 'impression'`),
    ).toEqual(
      await one(
        `SELECT count(*), sum(time_ms), sum(user_id * 31 + video_id), count(*), sum(tab) FROM ${log}`,
      ),
    );
    const dwell = await one(
      `SELECT round(sum(value) * 1000), count(*) FROM ${segments} WHERE head = 'dwell_seconds'`,
    );
    expect(dwell).toEqual(
      await one(`SELECT sum(play_time_ms)::DOUBLE, count(*) FILTER (play_time_ms > 0) FROM ${log}`),
    );
    database.closeSync();
  },
);
