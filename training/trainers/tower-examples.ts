import { random } from "../../datasets/random.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { interestOfHead } from "../../features/signals.ts";
import type { TowerLog } from "../tower-log.ts";
import type { TwoTowerSettings } from "./two-tower-options.ts";

/** The most that one impression counts, in units of the mean welcomed one: a rare act must not outweigh a batch. */
const MOST_WELCOME = 12;

/** Rows of a log as two-tower examples: what was welcomed, what was shunned, and how often each post came. */
export interface TowerExamples {
  /** Welcomed impressions, as rows. */
  readonly welcomed: Int32Array;
  /** Weight of each. */
  readonly weight: Float32Array;
  /** An impression of the same viewer that was shunned, or −1. */
  readonly shunned: Int32Array;
  /** Weight of each such pair; 0 = none. */
  readonly pairWeight: Float32Array;
  /** Dense post number of every impression row. */
  readonly postOf: Int32Array;
  /** By post number: its share of welcomed, of shunned and of all impressions. */
  readonly welcomedShare: Float64Array;
  readonly shunnedShare: Float64Array;
  readonly shownShare: Float64Array;
}

/** Reads examples off rows [from, to). What is welcome is said by `features/signals.ts`, not by anybody's weights. */
export function towerExamples(
  rows: TrainingRows,
  log: TowerLog,
  from: number,
  to: number,
  settings: TwoTowerSettings,
  seed: number,
): TowerExamples {
  const heads = rows.headNames.length;
  const interest = headInterest(rows, from, to, settings.rarity);
  const postOf = Int32Array.from({ length: to }, (_, row) =>
    log.postNumber(rows.postIds[row] as string),
  );
  const welcome = new Float32Array(to);
  const passedOver = new Map<number, number[]>();
  const refused = new Map<number, number[]>();
  const append = (lists: Map<number, number[]>, user: number, row: number): void => {
    const list = lists.get(user);
    if (list === undefined) lists.set(user, [row]);
    else list.push(row);
  };
  for (let row = from; row < to; row++) {
    let value = 0;
    let negative = false;
    for (let h = 0; h < heads; h++) {
      if (!((rows.labels[row * heads + h] as number) > 0)) continue;
      const amount = interest[h] as number;
      value += Math.max(0, amount);
      if (amount < 0) negative = true;
    }
    welcome[row] = negative ? 0 : value;
    if (negative) append(refused, rows.user[row] as number, row);
    else if (value === 0) append(passedOver, log.userOf[row] as number, row);
  }

  let total = 0;
  let count = 0;
  for (const value of welcome)
    if (value > 0) {
      total += value;
      count++;
    }
  const most = (MOST_WELCOME * total) / Math.max(1, count);
  const draws = random(seed, "shunned");
  const welcomed: number[] = [];
  const weight: number[] = [];
  const shunned: number[] = [];
  const pairWeight: number[] = [];
  for (let row = from; row < to; row++) {
    if (welcome[row] === 0) continue;
    const scale = rows.inNetwork[row] === 1 ? settings.inNetworkWeight : 1;
    if (scale === 0) continue;
    welcomed.push(row);
    weight.push(scale * Math.min(most, welcome[row] as number));
    const bad = refused.get(rows.user[row] as number);
    const plain = passedOver.get(log.userOf[row] as number);
    const useBad = bad !== undefined && (plain === undefined || draws.next() < 0.3);
    const list = useBad ? bad : plain;
    const other = list?.[draws.below(list.length)] ?? -1;
    shunned.push(other);
    pairWeight.push(other < 0 ? 0 : scale * (useBad ? settings.negativeFeedbackWeight : 1));
  }
  const posts = postOf.reduce((most, post) => Math.max(most, post + 1), 0);
  const shares = (list: Iterable<number>): Float64Array => {
    const counts = new Float64Array(posts);
    let total = 0;
    for (const row of list) {
      if (row < 0) continue;
      counts[postOf[row] as number]!++;
      total++;
    }
    return counts.map((count) => count / Math.max(1, total));
  };
  return {
    welcomed: Int32Array.from(welcomed),
    weight: Float32Array.from(weight),
    shunned: Int32Array.from(shunned),
    pairWeight: Float32Array.from(pairWeight),
    postOf,
    welcomedShare: shares(welcomed),
    shunnedShare: shares(shunned),
    shownShare: shares(range(from, to)),
  };
}

/** How much an act of each head says: its interest, more for acts that are rarer in rows [from, to). */
function headInterest(rows: TrainingRows, from: number, to: number, rarity: number): number[] {
  const heads = rows.headNames.length;
  return rows.headNames.map((name, h) => {
    let acts = 0;
    let seen = 0;
    for (let row = from; row < to; row++) {
      const label = rows.labels[row * heads + h] as number;
      if (Number.isNaN(label)) continue;
      seen++;
      if (label > 0) acts++;
    }
    return acts === 0 ? 0 : interestOfHead(name) * (acts / seen) ** -rarity;
  });
}

function* range(from: number, to: number): Iterable<number> {
  for (let i = from; i < to; i++) yield i;
}
