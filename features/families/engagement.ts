import { DECAY_RATE, DecayedCounters, decaySince, type HalfLife } from "../decayed-counters.ts";
import type { Entity } from "../entities.ts";
import type { FeatureFamily, RowContext } from "../family.ts";
import { IMPRESSION, INTEREST, SIGNALS, type Signal, signalIndex } from "../signals.ts";
import { relativeRate } from "./global.ts";

interface EngagementOptions {
  /** Features are named `<name>.<signal>_rate_<half-life>`; the family is `<name>_engagement`. */
  name: string;
  entity: Entity;
  /** Which signals are counted. */
  signals: readonly Signal[];
  /** Which rates are read, by half-life; impressions are read for each. */
  rates: Partial<Record<HalfLife, readonly Signal[]>>;
  /** Prior impressions that a rate is smoothed with. */
  strength: number;
  /** The entity's vector in a row. */
  state(context: RowContext): Float64Array | undefined;
  perRequest: boolean;
}

/** Decayed impressions and smoothed relative rates of one entity. NaN where it never had an impression. */
export function engagementFamily(options: EngagementOptions): FeatureFamily {
  const halfLives = Object.keys(options.rates) as HalfLife[];
  const counters = new DecayedCounters(
    options.signals.map((s) => signalIndex(s)),
    halfLives,
  );
  const groups: Group[] = halfLives.map((halfLife) => ({
    halfLife,
    impressionsAt: counters.slot(IMPRESSION, halfLife),
    wantsImpressions: true,
    rates: (options.rates[halfLife] ?? []).map((signal) => ({
      signal: signalIndex(signal),
      slot: counters.slot(signalIndex(signal), halfLife),
    })),
  }));
  return {
    name: `${options.name}_engagement`,
    version: 2,
    entity: options.entity,
    slots: counters.slots,
    perRequest: options.perRequest,
    reads: ["global", options.entity],
    features: groups.flatMap(({ halfLife, rates }) => [
      {
        name: `${options.name}.impressions_${halfLife}`,
        description: `impressions, half-life ${halfLife}`,
      },
      ...rates.map(({ signal }) => ({
        name: `${options.name}.${SIGNALS[signal]}_rate_${halfLife}`,
        description: `${SIGNALS[signal]} per impression against everybody's, half-life ${halfLife}`,
      })),
    ]),
    onSignal: (state, at, fact, share) =>
      counters.add(
        state,
        at,
        fact.timeMs,
        fact.signal,
        fact.amount * share,
        INTEREST,
        fact.interest * share,
      ),
    read: readGroups(options, groups),
    readOf: (wanted) => readGroups(options, chosen(groups, new Set(wanted))),
  };
}

/** The features of one half-life: its impressions, unless nobody wants them, and its rates. */
interface Group {
  readonly halfLife: HalfLife;
  readonly impressionsAt: number;
  readonly wantsImpressions: boolean;
  readonly rates: readonly Rate[];
}

interface Rate {
  readonly signal: number;
  readonly slot: number;
}

/** The groups without the features whose index, in the family's order, is not wanted. */
function chosen(groups: readonly Group[], wanted: ReadonlySet<number>): Group[] {
  let index = 0;
  return groups
    .map((group) => ({
      ...group,
      wantsImpressions: wanted.has(index++),
      rates: group.rates.filter(() => wanted.has(index++)),
    }))
    .filter(({ wantsImpressions, rates }) => wantsImpressions || rates.length > 0);
}

function readGroups(
  { strength, state: stateOf }: EngagementOptions,
  groups: readonly Group[],
): FeatureFamily["read"] {
  // Flat: a request reads some fifteen thousand of these.
  const decayRates = Float64Array.from(groups, ({ halfLife }) => DECAY_RATE[halfLife]);
  const impressionsAt = Int32Array.from(groups, (group) => group.impressionsAt);
  const wantsImpressions = groups.map((group) => group.wantsImpressions);
  const rates = groups.flatMap((group) => group.rates);
  const signals = Int32Array.from(rates, ({ signal }) => signal);
  const slots = Int32Array.from(rates, ({ slot }) => slot);
  const width = rates.length + wantsImpressions.filter((wants) => wants).length;
  let rateCount = 0;
  const ends = Int32Array.from(groups, (group) => {
    rateCount += group.rates.length;
    return rateCount;
  });
  return (context, at, out, column) => {
    const state = stateOf(context);
    const lastMs = state === undefined ? 0 : (state[at] as number);
    if (state === undefined || !(lastMs > 0)) {
      out.fill(Number.NaN, column, column + width);
      return;
    }
    let c = column;
    let r = 0;
    for (let g = 0; g < ends.length; g++) {
      const end = ends[g] as number;
      const decay = decaySince(lastMs, context.nowMs, decayRates[g] as number);
      const impressions = (state[at + (impressionsAt[g] as number)] as number) * decay;
      const known = impressions > 1e-9;
      if (wantsImpressions[g]) out[c++] = known ? impressions : Number.NaN;
      for (; r < end; r++) {
        const total = (state[at + (slots[r] as number)] as number) * decay;
        out[c++] = known
          ? relativeRate(context, signals[r] as number, total, impressions, strength)
          : Number.NaN;
      }
    }
  };
}
