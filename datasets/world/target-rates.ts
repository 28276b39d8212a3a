import {
  FOLLOW_AUTHOR,
  PHOTO_EXPAND,
  REPLY,
  REPLY_ENGAGED,
  RESPONSES,
  VIDEO_VIEW,
} from "./responses.ts";
import { expectedAuc } from "./soft-auc.ts";
import type { TargetRow } from "./target-row.ts";

const HEADS = RESPONSES.length;
/** More rows move an expected AUC by less than .001. */
const AUC_ROWS = 150_000;

/** Asked rates per impression where the head can happen. */
const RATES: Readonly<Record<string, readonly [number, number]>> = {
  click: [0.06, 0.15],
  favorite: [0.02, 0.05],
  reply: [0.002, 0.008],
  repost: [0.004, 0.01],
  quote: [0.0005, 0.002],
  profile_click: [0.01, 0.02],
  photo_expand: [0.03, 0.1],
  video_view: [0.03, 0.1],
  share: [0.001, 0.005],
  follow_author: [0.001, 0.003],
  dwell: [0.25, 0.4],
  not_interested: [0.0005, 0.001],
  mute_author: [0.0001, 0.0002],
  block_author: [0.0001, 0.0002],
  report: [0.00002, 0.00006],
  reply_engaged_by_author: [0.1, 0.25],
};
const AUCS: Readonly<Record<string, readonly [number, number]>> = {
  click: [0.74, 0.82],
  favorite: [0.84, 0.92],
  reply: [0.8, 0.9],
  not_interested: [0.75, 0.88],
  mute_author: [0.75, 0.88],
  block_author: [0.75, 0.88],
  report: [0.75, 0.88],
};
const NOTES: Readonly<Record<string, string>> = {
  photo_expand: "of posts with photos",
  video_view: "of posts with video",
  follow_author: "of out-of-network impressions",
  reply_engaged_by_author: "of replies",
};

/** Rates and oracle AUC per head from the true probabilities of logged impressions. */
export class RateTargets {
  readonly #heldOutFromMs: number;
  readonly #sums = new Float64Array(HEADS);
  readonly #counts = new Float64Array(HEADS);
  readonly #heldOut: Float32Array[] = RESPONSES.map(() => new Float32Array(AUC_ROWS));
  readonly #kept = new Int32Array(HEADS);
  /** One held-out impression in this many is kept for the AUC. */
  readonly #every: number;
  #seen = 0;

  constructor(heldOutFromMs: number, expectedHeldOut: number) {
    this.#heldOutFromMs = heldOutFromMs;
    this.#every = Math.max(1, Math.ceil(expectedHeldOut / AUC_ROWS));
  }

  observe(timeMs: number, probabilities: Float64Array): void {
    const isKept = timeMs >= this.#heldOutFromMs && this.#seen++ % this.#every === 0;
    for (let h = 0; h < HEADS; h++) {
      const p = probabilities[h]!;
      const isGated = h === PHOTO_EXPAND || h === VIDEO_VIEW || h === FOLLOW_AUTHOR;
      if (isGated && p === 0) continue;
      this.#sums[h]! += p;
      this.#counts[h]! += h === REPLY_ENGAGED ? probabilities[REPLY]! : 1;
      if (isKept && this.#kept[h]! < AUC_ROWS) this.#heldOut[h]![this.#kept[h]!++] = p;
    }
  }

  rows(): TargetRow[] {
    const rates = RESPONSES.map(({ head }, h): TargetRow => {
      const [min, max] = RATES[head]!;
      const note = NOTES[head];
      const value = this.#sums[h]! / this.#counts[h]!;
      return { name: `rate ${head}`, value, min, max, format: "percent", ...(note && { note }) };
    });
    const aucs = RESPONSES.map(({ head }, h): TargetRow => {
      const value = expectedAuc(this.#heldOut[h]!.subarray(0, this.#kept[h]!));
      const asked = AUCS[head];
      const range = asked ? { min: asked[0], max: asked[1] } : {};
      return { name: `oracle AUC ${head}`, value, ...range, format: "number" };
    });
    return [...rates, ...aucs];
  }
}
