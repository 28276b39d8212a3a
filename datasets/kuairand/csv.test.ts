import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readCsv } from "./csv.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "roost-csv-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const parse = async (content: string | Buffer, name = "file.csv"): Promise<string[][]> => {
  const file = path.join(dir, name);
  await writeFile(file, content);
  const rows: string[][] = [];
  await readCsv(
    file,
    (header) => rows.push([...header.names]),
    (records) => {
      for (const { number, fields } of records) {
        expect(number).toBe(rows.length);
        rows.push([...fields]);
      }
      return undefined;
    },
  );
  return rows;
};
const quoted = (field: string): string => `"${field.replaceAll('"', '""')}"`;

test("any table survives writing with quotes and reading, whatever its fields hold", async () => {
  const field = fc.oneof(
    fc.string({ unit: fc.constantFrom("a", ",", '"', "\n", " ", "é", "😀") }),
    fc.string(),
  );
  const table = fc.integer({ min: 1, max: 4 }).chain((width) =>
    fc.array(fc.array(field, { minLength: width, maxLength: width }), {
      minLength: 1,
      maxLength: 8,
    }),
  );
  await fc.assert(
    fc.asyncProperty(table, fc.constantFrom("\n", "\r\n"), async (rows, end) => {
      const names = (rows[0] as string[]).map((_, i) => `c${i}`);
      const text = [names, ...rows].map((row) => row.map(quoted).join(",")).join(end);
      expect(await parse(text)).toEqual([names, ...rows]);
    }),
    { numRuns: 150, seed: 5 },
  );
});

test("plain and gzip files, with and without a last line end, read the same", async () => {
  const expected = [
    ["a", "b"],
    ["1", "[100,1k)"],
    ["", "x"],
  ];
  const text = '\uFEFFa,b\r\n1,"[100,1k)"\r\n,x\r\n';
  expect(await parse(text)).toEqual(expected);
  expect(await parse(text.trimEnd())).toEqual(expected);
  expect(await parse(gzipSync(text), "file.csv.gz")).toEqual(expected);
});

test("records across chunk ends are whole", async () => {
  const rows = Array.from({ length: 90_000 }, (_, i) => [`${i}`, i % 7 === 0 ? `é"${i},` : "x"]);
  const text = ["n,text", ...rows.map(([n, t]) => `${n},${quoted(t as string)}`)].join("\n");
  expect(text.length).toBeGreaterThan(3 * (1 << 18));
  expect((await parse(text)).slice(1)).toEqual(rows);
});

test("a file cut short, an empty one, a missing one and an open quote are refused by name", async () => {
  const gz = gzipSync(`a\n${Array.from({ length: 5000 }, (_, i) => i * 7919).join("\n")}`);
  await expect(parse(gz.subarray(0, gz.length / 2), "cut.csv.gz")).rejects.toThrow(/cut\.csv\.gz/);
  await expect(parse("")).rejects.toThrow(/file\.csv is empty/);
  await expect(parse('a,b\n1,"2')).rejects.toThrow(/inside a quoted field/);
  await expect(
    readCsv(
      path.join(dir, "none.csv"),
      () => {},
      () => undefined,
    ),
  ).rejects.toMatchObject({ code: "BAD_DATASET" });
});
