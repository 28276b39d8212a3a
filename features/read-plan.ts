import type { Entity } from "./entities.ts";
import type { FeatureFamily } from "./family.ts";
import { FAMILY_OF, type IdColumn, OFFSETS, unknownFeatures } from "./registry.ts";

/** What one family writes into a row. */
export interface ReadStep {
  readonly read: FeatureFamily["read"];
  readonly at: number;
  /** Which of the values that `read` writes are asked for, and where each goes in a row. */
  readonly wanted: Int32Array;
  readonly targets: Int32Array;
  /** Set when the targets are consecutive: the family then writes into the row itself. */
  readonly direct: number;
}

/** Steps of one plan whose values can be kept under this object, in the order of these columns of a row. */
export interface AloneSteps {
  readonly steps: readonly ReadStep[];
  readonly columns: Int32Array;
}

/** How the rows of chosen features are made. */
export interface ReadPlan {
  /** Of families whose values depend on viewer and request alone: computed once a request. */
  readonly request: readonly ReadStep[];
  /** On the author alone, whoever asks: computed once per author of a request, or kept. */
  readonly author: AloneSteps;
  /** On the request and the author: computed once per author of a request. */
  readonly pair: readonly ReadStep[];
  /** On the request and the post's kind of media: computed once a kind. */
  readonly media: readonly ReadStep[];
  /** On the post alone, whoever asks: computed once a row, or kept. */
  readonly post: AloneSteps;
  readonly row: readonly ReadStep[];
  /** Entities that are looked at. */
  readonly reads: ReadonlySet<Entity>;
  /** Values that a family writes at the most. */
  readonly widest: number;
}

/**
 * @param features names in the order of the matrix' columns, each once
 * @throws RangeError naming the features that the registry lacks or that come twice
 */
export function readPlan(features: readonly string[], ids: readonly IdColumn[]): ReadPlan {
  const missing = unknownFeatures(features, ids);
  if (missing.length > 0) throw new RangeError(`not in the registry: ${missing.join(", ")}`);
  const twice = features.filter((name, i) => features.indexOf(name) !== i);
  if (twice.length > 0) throw new RangeError(`features asked for twice: ${twice.join(", ")}`);
  const plan = {
    request: [] as ReadStep[],
    author: [] as ReadStep[],
    pair: [] as ReadStep[],
    media: [] as ReadStep[],
    post: [] as ReadStep[],
    row: [] as ReadStep[],
    reads: new Set<Entity>(),
    widest: 0,
  };
  for (const family of new Set(features.map((name) => FAMILY_OF.get(name) as FeatureFamily))) {
    plan[turnOf(family)].push(stepOf(family, features));
    for (const entity of family.reads) plan.reads.add(entity);
    plan.widest = Math.max(plan.widest, family.features.length);
  }
  // A post's media and topics are the keys of these.
  if (ids.length > 0 || KEYED_BY_POST.some((entity) => plan.reads.has(entity)))
    plan.reads.add("post");
  return { ...plan, author: alone(plan.author), post: alone(plan.post) };
}

const alone = (steps: readonly ReadStep[]): AloneSteps => ({ steps, columns: columnsOf(steps) });

/** Columns that the steps write, in their order. */
export const columnsOf = (steps: readonly ReadStep[]): Int32Array =>
  Int32Array.from(steps.flatMap(({ targets }) => [...targets]));

function turnOf(family: FeatureFamily): "request" | "author" | "pair" | "media" | "post" | "row" {
  if (family.perRequest) return "request";
  const only = (entities: ReadonlySet<Entity>): boolean =>
    family.reads.every((entity) => entities.has(entity));
  if (only(AUTHOR_ALONE)) return "author";
  if (only(OF_AUTHOR)) return "pair";
  if (only(OF_MEDIA)) return "media";
  return only(POST_ALONE) ? "post" : "row";
}

function stepOf(family: FeatureFamily, features: readonly string[]): ReadStep {
  const places = family.features.map((spec) => features.indexOf(spec.name));
  const chosen = [...places.keys()].filter((i) => (places[i] as number) >= 0);
  const targets = Int32Array.from(chosen, (i) => places[i] as number);
  const partly = chosen.length < places.length;
  const readsPart = partly ? family.readOf?.(chosen) : undefined;
  // A partial read writes the chosen values one after another, a whole one all of them.
  const wanted = Int32Array.from(chosen, (i, at) => (readsPart === undefined ? i : at));
  const first = targets[0] as number;
  const whole = !partly || readsPart !== undefined;
  const direct = whole && targets.every((target, i) => target === first + i) ? first : -1;
  const read = readsPart ?? family.read;
  return { read, at: OFFSETS.get(family) as number, wanted, targets, direct };
}

const AUTHOR_ALONE: ReadonlySet<Entity> = new Set(["global", "author"]);
const POST_ALONE: ReadonlySet<Entity> = new Set(["global", "post"]);
/** Entities whose state is the same for every post of an author in one request. */
const OF_AUTHOR: ReadonlySet<Entity> = new Set([
  "global",
  "user",
  "user_follows",
  "author",
  "user_author",
]);
/** Entities whose state is the same for every post of one kind of media in one request. */
const OF_MEDIA: ReadonlySet<Entity> = new Set(["global", "user", "user_follows", "user_media"]);
const KEYED_BY_POST = ["user_media", "topic", "user_topic"] as const;
