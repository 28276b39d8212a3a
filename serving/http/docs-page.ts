import { ERROR_CODES } from "../../errors.ts";

/** The page holds no script and loads nothing. */
export const DOCS_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

interface JsonSchema {
  readonly [keyword: string]: unknown;
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
}

interface Media {
  readonly content?: Readonly<Record<string, { readonly schema?: JsonSchema }>>;
  readonly description?: string;
}

interface Operation {
  readonly summary?: string;
  readonly description?: string;
  readonly requestBody?: Media;
  readonly responses?: Readonly<Record<string, Media>>;
}

interface OpenApi {
  readonly info: { readonly title: string; readonly description?: string };
  readonly paths?: Readonly<Record<string, Readonly<Record<string, Operation>> | undefined>>;
}

/** The OpenAPI document as one HTML page: every path, every field, and every error code by its anchor. */
export function renderDocs(document: unknown): string {
  const { info, paths = {} } = document as OpenApi;
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods ?? {}).map(([method, operation]) => section(path, method, operation)),
  );
  const codes = Object.entries(ERROR_CODES).map(
    ([code, { status, meaning, remedy }]) =>
      `<tr id="${text(code)}"><td><code>${text(code)}</code><td>${status}<td>${text(meaning)}<td>${text(remedy)}`,
  );
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${text(info.title)} API</title>
<style>${STYLE}</style>
<h1>${text(info.title)}</h1>
<p>${text(info.description ?? "")} The same as a document: <a href="/openapi.json">/openapi.json</a>.</p>
${operations.join("\n")}
<h2>Errors</h2>
<table><tr><th>code<th>status<th>meaning<th>remedy${codes.join("\n")}</table>
</html>
`;
}

function section(path: string, method: string, operation: Operation): string {
  const responses = Object.entries(operation.responses ?? {}).map(([status, response]) => {
    const schema = firstSchema(response);
    const type = Object.keys(response.content ?? {})[0] ?? "";
    // The problem document is the same everywhere; its fields are told once, by the error table's schema.
    const shape = type.endsWith("problem+json") || schema === undefined ? "" : render(schema);
    return `<li><b>${text(status)}</b> ${text(response.description ?? "")} ${shape}`;
  });
  const body = operation.requestBody === undefined ? undefined : firstSchema(operation.requestBody);
  return `<section><h2><code>${text(method.toUpperCase())} ${text(path)}</code></h2>
<p>${text(operation.summary ?? "")}</p>
${operation.description === undefined ? "" : `<p>${text(operation.description)}</p>`}
${body === undefined ? "" : `<h3>Body</h3>${render(body)}`}
<h3>Answers</h3><ul>${responses.join("")}</ul></section>`;
}

function firstSchema(media: Media): JsonSchema | undefined {
  return Object.values(media.content ?? {})[0]?.schema;
}

function render(schema: JsonSchema): string {
  const branches = schema.oneOf ?? schema.anyOf;
  if (branches?.some((branch) => isDeep(branch))) {
    return branches
      .map(
        (branch) =>
          `<details><summary>${text(branchName(branch))}</summary>${render(branch)}</details>`,
      )
      .join("");
  }
  if (schema.items !== undefined && isDeep(schema.items)) return `array of ${render(schema.items)}`;
  if (schema.properties === undefined) return `<code>${text(brief(schema))}</code>`;
  const required = new Set(schema.required);
  const rows = Object.entries(schema.properties).map(([name, field]) => {
    const deep = isDeep(field) ? render(field) : `<code>${text(brief(field))}</code>`;
    const needed = required.has(name) ? "required" : "";
    return `<tr><td><code>${text(name)}</code><td>${needed}<td>${deep}<td>${text(field.description ?? "")}`;
  });
  return `<table><tr><th>field<th><th>type<th>${rows.join("\n")}</table>`;
}

function isDeep(schema: JsonSchema): boolean {
  if (schema.properties !== undefined) return true;
  if (schema.items !== undefined) return isDeep(schema.items);
  return (schema.oneOf ?? schema.anyOf ?? []).some((branch) => isDeep(branch));
}

/** An event's type, or what sort of thing the branch is. */
function branchName(branch: JsonSchema): string {
  const type = branch.properties?.type;
  const named = type?.const ?? type?.enum?.[0];
  return String(named ?? branch.type ?? (branch.oneOf === undefined ? "value" : "one event"));
}

/** Type and limits in one line. */
function brief(schema: JsonSchema): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined)
    return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const branches = schema.anyOf ?? schema.oneOf;
  if (branches !== undefined) return branches.map((branch) => brief(branch)).join(" | ");
  const limits = LIMITS.filter((keyword) => schema[keyword] !== undefined).map(
    (keyword) => `${keyword} ${String(schema[keyword])}`,
  );
  const of = schema.items === undefined ? "" : ` of ${brief(schema.items)}`;
  return [`${schema.type ?? "any"}${of}`, ...limits].join(", ");
}

const LIMITS = [
  "minimum",
  "exclusiveMinimum",
  "maximum",
  "minLength",
  "maxLength",
  "minItems",
  "maxItems",
  "pattern",
];

function text(raw: string): string {
  return raw
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

const STYLE =
  "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}" +
  "table{border-collapse:collapse;margin:.5rem 0}td,th{border:1px solid #8886;padding:.2rem .5rem;text-align:left;vertical-align:top}" +
  "section{border-top:2px solid #8886;margin-top:2rem}code{font-size:.9em;overflow-wrap:anywhere}tr:target{background:#fe93}";
