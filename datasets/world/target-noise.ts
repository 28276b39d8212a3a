import { hash32 } from "../random.ts";
import type { Population } from "./population.ts";
import { NO_LABEL, REPOST_POST } from "./posts.ts";
import type { TargetRow } from "./target-row.ts";
import { postText, vocabulary } from "./text.ts";
import { TOPIC_COUNT } from "./topics.ts";

/** How much noise stands between the latents and what models may see of a post. */
export function noiseTargets({ posts, users, seed }: Population): TargetRow[] {
  let originals = 0;
  let wrong = 0;
  let words = 0;
  let ofTopic = 0;
  const own = Array.from({ length: TOPIC_COUNT }, (_, k) => new Set(vocabulary(k)));
  const quality = new Correlation();
  const controversy = new Correlation();
  for (let p = 0; p < posts.count; p++) {
    if (posts.kind[p] === REPOST_POST) continue;
    originals++;
    if (posts.label[p] === NO_LABEL || posts.label[p] !== posts.topic[p]) wrong++;
    quality.add(posts.qualityAttribute[p]!, posts.quality[p]!);
    controversy.add(posts.controversyAttribute[p]!, posts.controversy[p]!);
    if (hash32(seed, "noise", p) % 20 !== 0) continue;
    for (const word of postText(posts, users, seed, p).split(" ")) {
      words++;
      if (own[posts.topic[p]!]!.has(word.replace("#", ""))) ofTopic++;
    }
  }
  return [
    {
      name: "topic labels wrong or missing",
      value: wrong / originals,
      min: 0.2,
      max: 0.3,
      format: "percent",
    },
    { name: "words not of the post's topic", value: 1 - ofTopic / words, format: "percent" },
    {
      name: "quality attribute, R² with quality",
      value: quality.value() ** 2,
      max: 0.9,
      format: "number",
    },
    {
      name: "controversy attribute, R²",
      value: controversy.value() ** 2,
      max: 0.9,
      format: "number",
    },
  ];
}

/** Pearson correlation of pairs. */
class Correlation {
  #n = 0;
  #x = 0;
  #y = 0;
  #xx = 0;
  #yy = 0;
  #xy = 0;

  add(x: number, y: number): void {
    this.#n++;
    this.#x += x;
    this.#y += y;
    this.#xx += x * x;
    this.#yy += y * y;
    this.#xy += x * y;
  }

  value(): number {
    const covariance = this.#xy - (this.#x * this.#y) / this.#n;
    const ofX = this.#xx - this.#x ** 2 / this.#n;
    const ofY = this.#yy - this.#y ** 2 / this.#n;
    return covariance / Math.sqrt(ofX * ofY);
  }
}
