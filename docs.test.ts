import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, normalize } from "node:path";
import type { Command } from "commander";
import { describe, expect, test } from "vitest";
import { parseDocument } from "yaml";
import { EventSchema } from "./datasets/events.ts";
import { ERROR_CODES } from "./errors.ts";
import { MemoryState } from "./features/memory-store.ts";
import {
  EventsResponseSchema,
  ProblemSchema,
  RankRequestSchema,
  RankResponseSchema,
} from "./serving/http/schemas.ts";
import { TimelineResponseSchema } from "./serving/http/timeline-route.ts";
import { LIGHT_CUT } from "./serving/pipeline/run-pipeline.ts";
import { DUPLICATE } from "./serving/pipeline/run-sources.ts";
import { forYou } from "./serving/pipelines/for-you.ts";
import { flagOf, SETTING_NAMES, variableOf } from "./serving/settings.ts";
import { BroadcastState } from "./serving/state/live-state.ts";
import { EXPERIMENTS_KIND } from "./serving/versions/experiments-kind.ts";

const FOLDERS = ["datasets", "experiments", "features", "candidates", "training", "serving"];
const DOCUMENTS = [
  "README.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  ...readdirSync("docs").map((name) => `docs/${name}`),
];
const text = (path: string): string => readFileSync(path, "utf8");
const FILES = [
  ...readdirSync("."),
  ...[...FOLDERS, "docs"].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => `${folder}/${name}`),
  ),
];
const SOURCES = FILES.filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
  .map(text)
  .join("\n");
const BASENAMES = new Set(FILES.map((file) => basename(file)));

/** What a document says in code: spans and fenced blocks. */
function codeOf(markdown: string): string[] {
  const fences = [...markdown.matchAll(/^```\w*\n(.*?)^```$/gms)].map((m) => m[1] as string);
  const rest = markdown.replaceAll(/^```\w*\n.*?^```$/gms, "");
  const spans = [...rest.matchAll(/`([^`\n]+)`/g)].map((m) => m[1] as string);
  return [...spans, ...fences.flatMap((fence) => fence.split("\n"))];
}

/** Every finding of `look` over all documents, as `document: finding`. */
function findings(look: (code: string, markdown: string) => Iterable<string>): string[] {
  return DOCUMENTS.flatMap((path) => {
    const markdown = text(path);
    return codeOf(markdown).flatMap((code) =>
      [...look(code, markdown)].map((f) => `${path}: ${f}`),
    );
  });
}

/** verb → its command, as `roost.ts` lists them. */
const VERBS = new Map<string, Command>();
for (const [, verb, path, name] of text("roost.ts").matchAll(
  /^ {2}(\w+): \{\s+about:.*?import\("(.+?)"\)\)\.(\w+)\(/gms,
)) {
  const { href } = new URL(path as string, import.meta.url);
  const loaded = (await import(/* @vite-ignore */ href)) as Record<string, () => Command>;
  VERBS.set(verb as string, (loaded[name as string] as () => Command)());
}
const SETTING_FLAGS = new Set(SETTING_NAMES.map(flagOf));
const optionsOf = (command: Command): string[] => [
  ...command.options.map(({ long }) => long as string),
  ...command.commands.flatMap(optionsOf),
];

test("every path that a document names is there", () => {
  const looksLikePath = /^(?:\.\/)?[\w@.-]+(?:\/[\w@.-]+)*\/?$/;
  const missing = findings(function* (code) {
    for (const word of code.split(/[\s,;()│→◄►]+/)) {
      const path = word.replace(/[.:]$/, "");
      if (!looksLikePath.test(path)) continue;
      if (FOLDERS.includes(path.split("/")[0] as string) && path.includes("/")) {
        if (!existsSync(path)) yield path;
      } else if (/^[\w.-]+\.(ts|mjs|md|yaml|json)$/.test(path)) {
        // A file of the tree by its name, or one that the code writes or reads.
        if (!BASENAMES.has(path) && !SOURCES.includes(path)) yield path;
      }
    }
  });
  expect(missing).toEqual([]);
});

test("every link leads to a file, and to a heading in it", () => {
  const broken: string[] = [];
  let seen = 0;
  for (const path of DOCUMENTS)
    for (const [, target] of text(path).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https:\/\/[\w.-]+(\/|$)/.test(target as string)) continue;
      seen++;
      const [file, anchor] = (target as string).split("#") as [string, string?];
      const at = normalize(join(dirname(path), file === "" ? basename(path) : file));
      if (!existsSync(at)) broken.push(`${path}: ${target}`);
      else if (anchor !== undefined && !anchorsOf(text(at)).includes(anchor))
        broken.push(`${path}: ${target}`);
    }
  expect(broken).toEqual([]);
  expect(seen).toBeGreaterThan(10);
});

const anchorsOf = (markdown: string): string[] =>
  [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    (heading as string)
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );

test("every npm script that a document names is there", () => {
  const scripts = Object.keys(
    (JSON.parse(text("package.json")) as { scripts: Record<string, string> }).scripts,
  );
  const built = new Set(["ci", "install", ...scripts.filter((s) => ["start", "test"].includes(s))]);
  const missing = findings(function* (code) {
    for (const [, run, name] of code.matchAll(/\bnpm (run (?:-s )?)?([a-z]+)/g))
      if (!(run === undefined ? built.has(name as string) : scripts.includes(name as string)))
        yield `npm ${run ?? ""}${name}`;
  });
  expect(missing).toEqual([]);
});

test("every verb, benchmark and option that a document names is there", () => {
  expect(VERBS.size).toBeGreaterThanOrEqual(8);
  const benches = /one of: ([\w, ]+)/.exec(
    (VERBS.get("bench") as Command).registeredArguments[0]?.description ?? "",
  )?.[1];
  const missing = findings(function* (code) {
    const named = /(?:npm run -s roost -- |\broost )([a-z]+)(.*)/.exec(code);
    if (named === null) return;
    const [, verb, rest] = named as unknown as [string, string, string];
    const command = VERBS.get(verb);
    if (command === undefined) {
      yield `roost ${verb}`;
      return;
    }
    const bench = verb === "bench" ? /^ ([a-z]+)/.exec(rest)?.[1] : undefined;
    if (bench !== undefined && !benches?.split(", ").includes(bench)) yield `bench ${bench}`;
    for (const [flag] of rest.matchAll(/--[a-z][a-z-]*/g))
      if (![...optionsOf(command), "--help"].includes(flag)) yield `roost ${verb} ${flag}`;
  });
  expect(missing).toEqual([]);
});

describe("docs/cli.md", () => {
  const sections = new Map(
    text("docs/cli.md")
      .split(/^## /m)
      .slice(1)
      .map((section) => [section.split("\n")[0] as string, section]),
  );

  test("has a section for every verb, in the order of the help", () => {
    expect([...sections.keys()]).toEqual([...VERBS.keys()]);
  });

  test("names every option of a verb beyond the settings, and no other", () => {
    for (const [verb, command] of VERBS) {
      const said = [...(sections.get(verb) ?? "").matchAll(/^\| `(--[a-z-]+)`/gm)].map((m) => m[1]);
      const has = optionsOf(command).filter((flag) => !SETTING_FLAGS.has(flag));
      if (verb !== "bench") expect(said, verb).toEqual(has);
    }
  });

  test("names every benchmark with the options that its program reads", () => {
    const rows = [
      ...(sections.get("bench") ?? "").matchAll(/^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$/gm),
    ];
    expect(rows.length).toBeGreaterThanOrEqual(3);
    for (const [, name, flags] of rows) {
      const program = FILES.find((file) => file.endsWith(`benches/${name}.ts`)) as string;
      const read = [
        ...text(program).matchAll(/^ {4,6}"?([a-z-]+)"?: \{ type: "(?:string|boolean)"/gm),
      ]
        .map((m) => `--${m[1]}`)
        .filter((flag) => !["--json", "--help", "--variant"].includes(flag));
      expect((flags as string).match(/--[a-z-]+/g), name).toEqual(read);
    }
  });
});

test("every environment variable that a document names is read", () => {
  const known = new Set([...SETTING_NAMES.map(variableOf), "ROOST_CONFIG", "ROOST_SHARED"]);
  const unknown = DOCUMENTS.flatMap((path) =>
    [...text(path).matchAll(/\bROOST_[A-Z_]+\b/g)]
      .filter(([name]) => !known.has(name))
      .map(([name]) => `${path}: ${name}`),
  );
  expect(unknown).toEqual([]);
});

test("every error code that a document names is in the table", () => {
  const unknown = findings(function* (code) {
    if (/^[A-Z]+(_[A-Z]+)+$/.test(code) && !code.startsWith("ROOST_") && !(code in ERROR_CODES))
      yield code;
  });
  expect(unknown).toEqual([]);
});

test("every route and metric that a document names is served", () => {
  const unknown = findings(function* (code) {
    for (const [, method, route] of code.matchAll(/\b(GET|POST|PUT) (\/[\w/{}.]*)/g)) {
      const path = (route as string).replaceAll(/\{(\w+)\}/g, ":$1");
      const declared = new RegExp(`server\\.${method?.toLowerCase()}[^(]*\\(\\s*"${path}"`);
      if (!declared.test(SOURCES)) yield `${method} ${route}`;
    }
    for (const [name] of code.matchAll(/\broost_[a-z_]+\b/g))
      if (!SOURCES.includes(`"${name}"`)) yield name;
  });
  expect(unknown).toEqual([]);
});

test("the README lists the filters of for_you in the order in which they run", () => {
  const table = /## Filters.*?\n\n(.*?)\n\n/s.exec(text("README.md"))?.[1] ?? "";
  const listed = [...table.matchAll(/^\| `(\w+)`/gm)].map((m) => m[1]);
  const { mergeFilters, filters, selectedFilters } = forYou(
    new BroadcastState(),
    new MemoryState(),
    [],
  );
  const names = (list: readonly { name: string }[]) => list.map(({ name }) => name);
  expect(listed).toEqual([
    DUPLICATE,
    ...names(mergeFilters),
    ...names(filters),
    LIGHT_CUT,
    ...names(selectedFilters),
  ]);
});

test("the README has at most 150 lines", () => {
  expect(text("README.md").trimEnd().split("\n").length).toBeLessThanOrEqual(150);
});

test("decisions are numbered, at most 12 lines each, and say what would reverse them", () => {
  const sections = text("docs/decisions.md").split(/^## /m).slice(1);
  expect(sections.length).toBeGreaterThan(0);
  sections.forEach((section, i) => {
    expect(section.startsWith(`${i + 1}. `), section.split("\n")[0]).toBe(true);
    expect(section.trimEnd().split("\n").length, section.split("\n")[0]).toBeLessThanOrEqual(12);
    expect(section, section.split("\n")[0]).toContain("Reversed by:");
  });
});

test("every dependency has its reason in the decisions", () => {
  const { dependencies, devDependencies } = JSON.parse(text("package.json")) as Record<
    string,
    Record<string, string>
  >;
  const decisions = text("docs/decisions.md");
  const silent = Object.keys({ ...dependencies, ...devDependencies }).filter(
    (name) => !decisions.includes(`\`${name}\``) && !decisions.includes(name),
  );
  expect(silent).toEqual([]);
});

test("unreleased changes stand on top of the changelog", () => {
  expect(/^## (.+)$/m.exec(text("CHANGELOG.md"))?.[1]).toBe("Unreleased");
});

test("no document names a place of somebody's machine", () => {
  const places = DOCUMENTS.flatMap((path) =>
    (text(path).match(/(?<![\w.~/:])\/(?:home|root|tmp|work|Users|var)\/[\w./-]*/g) ?? []).map(
      (place) => `${path}: ${place}`,
    ),
  );
  expect(places).toEqual([]);
});

test("the requests and answers in docs/api.md fit the schemas", () => {
  const blocks = [...text("docs/api.md").matchAll(/^```json\n(.*?)^```$/gms)].map(
    (m) => JSON.parse(m[1] as string) as Record<string, unknown>,
  );
  const kinds = { request: 0, page: 0, timeline: 0, events: 0, taken: 0, problem: 0 };
  for (const block of blocks) {
    if ("product" in block) kinds.request += Number(RankRequestSchema.parse(block) !== undefined);
    else if ("items" in block && "position" in block)
      kinds.timeline += Number(TimelineResponseSchema.parse(block) !== undefined);
    else if ("items" in block) kinds.page += Number(RankResponseSchema.parse(block) !== undefined);
    else if ("accepted" in block)
      kinds.taken += Number(EventsResponseSchema.parse(block) !== undefined);
    else if ("code" in block) kinds.problem += Number(ProblemSchema.parse(block) !== undefined);
    else if ("events" in block)
      for (const event of block.events as object[])
        kinds.events += Number(EventSchema.parse({ time_ms: 0, ...event }) !== undefined);
  }
  expect(kinds).toEqual({ request: 1, page: 1, timeline: 1, events: 2, taken: 1, problem: 1 });
});

test("the experiment in docs/experiments.md is the demo's, and loads", () => {
  const block = /^```yaml\n(.*?)^```$/ms.exec(text("docs/experiments.md"))?.[1] as string;
  const demo = text("serving/experiments/demo.yaml");
  expect(parseDocument(block).toJS()).toEqual(parseDocument(demo).toJS());
  expect(EXPERIMENTS_KIND.parse(block, "docs").version).toBe(
    EXPERIMENTS_KIND.parse(demo, "demo").version,
  );
});
