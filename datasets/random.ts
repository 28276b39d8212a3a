/**
 * Seeded randomness. A generator is made from a seed and a path of keys, so that a stream belongs to the thing it
 * describes (`random(seed, "post", 17)`) and never depends on the order or chunking in which others were drawn.
 */
export interface Random {
  /** Uniform in [0, 1), 32 random bits. */
  next(): number;
  /** Uniform integer in [0, n). */
  below(n: number): number;
  /** Standard normal (Box–Muller, both halves used). */
  normal(): number;
  /** Exponential with mean 1. */
  exponential(): number;
  /** Standard Gumbel: adding it to log weights and taking the largest k samples k without replacement. */
  gumbel(): number;
  /** Gamma with the given shape > 0 and scale 1. Source: Marsaglia and Tsang (2000), "A simple method for generating gamma variables". */
  gamma(shape: number): number;
  /** Poisson with the given mean ≥ 0; exact by multiplication below 30, rounded normal above. */
  poisson(mean: number): number;
}

/** 32-bit hash of a seed and keys. Mixing step: the finaliser of MurmurHash3 (Appleby, public domain). */
export function hash32(seed: number, ...keys: (string | number)[]): number {
  let h = seed | 0;
  for (const key of keys) {
    if (typeof key === "number") {
      h = mix(h ^ (key | 0));
      // Numbers past 32 bits (times, large ids) contribute their high part too.
      if (key > 0xffffffff || key < -0x80000000) h = mix(h ^ Math.floor(key / 0x100000000));
    } else {
      for (let i = 0; i < key.length; i++) h = Math.imul(h ^ key.charCodeAt(i), 0x01000193);
      h = mix(h);
    }
  }
  return h >>> 0;
}

function mix(value: number): number {
  let h = (value + 0x9e3779b9) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** A generator for this seed and path of keys (sfc32; Doty-Humphrey, PractRand). Same arguments, same stream. */
export function random(seed: number, ...keys: (string | number)[]): Random {
  return new Sfc32(
    hash32(seed, ...keys, 1) | 0,
    hash32(seed, ...keys, 2) | 0,
    hash32(seed, ...keys, 3) | 0,
  );
}

/** A class, not closures: generators are made by the million, one for each thing drawn. */
class Sfc32 implements Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;
  #spare = Number.NaN;

  constructor(a: number, b: number, c: number) {
    this.#a = a;
    this.#b = b;
    this.#c = c;
    for (let i = 0; i < 8; i++) this.#bits();
  }

  next(): number {
    return this.#bits() / 0x100000000;
  }

  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  normal(): number {
    if (!Number.isNaN(this.#spare)) {
      const value = this.#spare;
      this.#spare = Number.NaN;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(this.#open()));
    const angle = 2 * Math.PI * this.next();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  exponential(): number {
    return -Math.log(this.#open());
  }

  gumbel(): number {
    return -Math.log(-Math.log(this.#open()));
  }

  gamma(shape: number): number {
    if (shape < 1) return this.gamma(shape + 1) * this.#open() ** (1 / shape);
    const d = shape - 1 / 3;
    const k = 1 / Math.sqrt(9 * d);
    for (;;) {
      const x = this.normal();
      const v = (1 + k * x) ** 3;
      if (v <= 0) continue;
      if (Math.log(this.#open()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
    }
  }

  poisson(mean: number): number {
    if (mean > 30) return Math.max(0, Math.round(mean + Math.sqrt(mean) * this.normal()));
    const limit = Math.exp(-mean);
    let n = 0;
    for (let product = this.next(); product > limit; product *= this.next()) n++;
    return n;
  }

  #open(): number {
    return (this.#bits() + 0.5) / 0x100000000;
  }

  #bits(): number {
    const t = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + t) | 0;
    return t >>> 0;
  }
}

/** Shuffles in place (Fisher–Yates) and returns the same array. */
export function shuffle<T>(items: T[], random: Random): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    const held = items[i] as T;
    items[i] = items[j] as T;
    items[j] = held;
  }
  return items;
}
