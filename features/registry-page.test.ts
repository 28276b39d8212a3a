import { expect, test } from "vitest";
import { FAMILIES, FEATURE_NAMES, ID_COLUMNS } from "./registry.ts";

/** `docs/features.md`: every feature by family, in the order of the registry. */
function featuresPage(): string {
  const sections = FAMILIES.map((family) => {
    const { name, version, entity, perRequest, reads, features } = family;
    const state =
      entity === undefined
        ? "keeps no state of its own"
        : `keeps ${family.slots} numbers per \`${entity}\``;
    const read = reads.length === 0 ? "the request alone" : reads.map((e) => `\`${e}\``).join(", ");
    const once = perRequest ? "; computed once a request" : "";
    const rows = features.map((f) => `| \`${f.name}\` | ${f.description} |`);
    const table = ["| feature | what it says |", "|---|---|", ...rows].join("\n");
    return `## ${name}, version ${version}

It ${state}; reads ${read}${once}.

${rows.length === 0 ? "No features: what it keeps, others read." : table}`;
  });
  return `# Features

${FEATURE_NAMES.length} features in ${FAMILIES.length} families, as \`features/registry.ts\` lists them. The same objects run on the live event stream and in replay, so a training row and a request read the same numbers.

* **NaN is missing**, never 0: nothing known of the author, no impression yet, no text.
* **A count** is decayed: an event of age Δt counts 2^(−Δt/h), h = 30 minutes, 1 day or 50 days (\`30m\`, \`1d\`, \`50d\` in the name).
* **A rate** is the logarithm of a smoothed rate over everybody's: 0 = as the average, ln 2 = twice as often. A rate of \`interest\`, which may be negative, is the difference instead.
* **The version** of a family is raised when the meaning of its numbers changes; bundles that were trained on another version are refused by name.
* Models also read ids (${ID_COLUMNS.map((id) => `\`${id}\``).join(", ")}) as hashed embeddings.

\`roost evaluate\` prints for each feature the share of rows that have it and the AUC that is lost when it is permuted.

${sections.join("\n\n")}
`;
}

test("docs/features.md is what the registry says (`npx vitest run features/registry-page.test.ts -u` writes it)", async () => {
  await expect(featuresPage()).toMatchFileSnapshot("../docs/features.md");
});

test("every feature says what it is in words that fit a table", () => {
  const described = FAMILIES.flatMap((family) => family.features);
  expect(described.map(({ name }) => name)).toEqual(FEATURE_NAMES);
  for (const { name, description } of described)
    expect(description, name).toMatch(/^[^|\n]{3,}[^|\n.]$/);
});
