import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "..");

/** Who may import whom: the folder list is the architecture. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  datasets: [],
  experiments: ["datasets"],
  features: ["datasets"],
  candidates: ["features", "datasets"],
  training: ["features", "experiments", "datasets"],
  serving: ["candidates", "features", "experiments", "datasets"],
};
const FOLDERS = Object.keys(MAY_IMPORT);

function* sources(folder: string): Iterable<string> {
  for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true, recursive: true }))
    if (entry.isFile() && entry.name.endsWith(".ts")) yield join(entry.parentPath, entry.name);
}

/** Relative imports of a source, static and dynamic, as paths from the root. */
function imports(file: string): string[] {
  const text = readFileSync(file, "utf8");
  const found = text.matchAll(/(?:from\s+|import\s*\(\s*|import\s+)["'](\.{1,2}\/[^"']+)["']/g);
  return [...found].map((match) => relative(ROOT, resolve(dirname(file), match[1] as string)));
}

test("every folder imports only the folders below it", () => {
  const wrong: string[] = [];
  let crossings = 0;
  for (const folder of FOLDERS)
    for (const file of sources(folder))
      for (const target of imports(file)) {
        const top = target.split("/")[0] as string;
        if (top === folder || !FOLDERS.includes(top)) continue;
        crossings++;
        if (!MAY_IMPORT[folder]?.includes(top)) wrong.push(`${relative(ROOT, file)} → ${target}`);
      }
  expect(wrong).toEqual([]);
  expect(crossings, "the test read no import at all").toBeGreaterThan(20);
});
