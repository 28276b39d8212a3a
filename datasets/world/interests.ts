import { type Random, random } from "../random.ts";
import { TOPIC_COUNT } from "./topics.ts";
import { type WeightedDraw, weightedDraw, zipf } from "./weighted-draw.ts";

/** Communities overlap in topics and are what people and authors are mixtures of. */
const COMMUNITY_COUNT = 30;
const TOPICS_PER_COMMUNITY = 3;
/** Share of an interest vector that no community explains. */
const PERSONAL_SHARE = 0.15;

export interface Communities {
  /** Row-major [communities, topics]; rows sum to 1. */
  readonly profiles: Float32Array;
  /** Index into LANGUAGES per community. */
  readonly language: Uint8Array;
  readonly draw: WeightedDraw;
}

/** Source: variant V of the world's prototype (30 communities × 3 topics, sizes ∝ 1/rank^.6, Dirichlet 2 profiles). */
export function createCommunities(seed: number): Communities {
  const profiles = new Float32Array(COMMUNITY_COUNT * TOPIC_COUNT);
  const language = new Uint8Array(COMMUNITY_COUNT);
  for (let c = 0; c < COMMUNITY_COUNT; c++) {
    const source = random(seed, "community", c);
    addProfile(profiles, c * TOPIC_COUNT, 1, 2, TOPICS_PER_COMMUNITY, source);
    language[c] = c >= COMMUNITY_COUNT - 3 ? 2 : c % 6 === 5 ? 1 : 0;
  }
  return { profiles, language, draw: weightedDraw(zipf(COMMUNITY_COUNT, 0.6)) };
}

/**
 * Writes one interest vector [topics] (shares summing to 1) at `offset`: `memberships` distinct communities with
 * Dirichlet(1.2) weights, plus the personal share on two topics. Returns the language of the strongest community.
 */
export function drawInterest(
  into: Float32Array,
  offset: number,
  communities: Communities,
  memberships: number,
  source: Random,
): number {
  const chosen: number[] = [];
  while (chosen.length < memberships) {
    const c = communities.draw.draw(source);
    if (!chosen.includes(c)) chosen.push(c);
  }
  const weights = dirichlet(1.2, memberships, source);
  let strongest = 0;
  for (let i = 0; i < memberships; i++) {
    const weight = weights[i]!;
    if (weight > weights[strongest]!) strongest = i;
    const row = chosen[i]! * TOPIC_COUNT;
    for (let k = 0; k < TOPIC_COUNT; k++) {
      into[offset + k]! += (1 - PERSONAL_SHARE) * weight * communities.profiles[row + k]!;
    }
  }
  addProfile(into, offset, PERSONAL_SHARE, 1, 2, source);
  return communities.language[chosen[strongest]!]!;
}

/** Adds `scale` · Dirichlet(`concentration`) on `size` distinct topics. */
export function addProfile(
  into: Float32Array,
  offset: number,
  scale: number,
  concentration: number,
  size: number,
  source: Random,
): void {
  const topics: number[] = [];
  while (topics.length < size) {
    const k = source.below(TOPIC_COUNT);
    if (!topics.includes(k)) topics.push(k);
  }
  const shares = dirichlet(concentration, size, source);
  for (let i = 0; i < size; i++) into[offset + topics[i]!]! += scale * shares[i]!;
}

function dirichlet(concentration: number, size: number, source: Random): number[] {
  const draws = Array.from({ length: size }, () => source.gamma(concentration));
  const total = draws.reduce((a, b) => a + b, 0);
  return draws.map((x) => x / total);
}
