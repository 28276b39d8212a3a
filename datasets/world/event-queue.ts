/** What a queued happening is. */
export const USER_CREATED = 0;
export const FOLLOW = 1;
export const UNFOLLOW = 2;
export const BLOCK = 3;
export const MUTE = 4;
export const POST_CREATED = 5;
export const POST_DELETED = 6;
export const IMPRESSION = 7;
export const ENGAGEMENT = 8;
/** Not events of the log: a new day begins, somebody asks for a page. */
export const DAY = 9;
export const REQUEST = 10;

/** One happening; which fields count depends on `kind`. */
export interface Happening {
  kind: number;
  timeMs: number;
  user: number;
  /** Post index, or the other user of a relation, or the day. */
  object: number;
  /** Number of the request. Of a REQUEST: pages still to come. */
  request: number;
  /** Impressions: slot. Engagements: index into WORLD_HEADS. Of a REQUEST: posts seen so far in the session. */
  detail: number;
  /** Impressions: policy and network bits. */
  flags: number;
  /** Impressions: propensity. Continuous engagements: amount. */
  value: number;
}

/** Happenings in (time, order of pushing): a binary heap over columns, so that a waiting one costs about 50 bytes. */
export class EventQueue {
  /** The one that `pop` took last. */
  readonly current: Happening = {
    kind: 0,
    timeMs: 0,
    user: 0,
    object: 0,
    request: 0,
    detail: 0,
    flags: 0,
    value: 0,
  };
  #size = 0;
  #pushed = 0;
  #heap = new Int32Array(1024);
  #free: number[] = [];
  #slots = 0;
  #kind = new Uint8Array(1024);
  #time = new Float64Array(1024);
  #order = new Float64Array(1024);
  #user = new Int32Array(1024);
  #object = new Int32Array(1024);
  #request = new Int32Array(1024);
  #detail = new Int32Array(1024);
  #flags = new Int32Array(1024);
  #value = new Float64Array(1024);

  get size(): number {
    return this.#size;
  }

  push(
    kind: number,
    timeMs: number,
    user: number,
    object: number,
    request = 0,
    detail = 0,
    flags = 0,
    value = 0,
  ): void {
    const slot = this.#free.pop() ?? this.#newSlot();
    this.#kind[slot] = kind;
    this.#time[slot] = timeMs;
    this.#order[slot] = this.#pushed++;
    this.#user[slot] = user;
    this.#object[slot] = object;
    this.#request[slot] = request;
    this.#detail[slot] = detail;
    this.#flags[slot] = flags;
    this.#value[slot] = value;

    let at = this.#size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = this.#heap[parent]!;
      if (!this.#before(slot, above)) break;
      this.#heap[at] = above;
      at = parent;
    }
    this.#heap[at] = slot;
  }

  /** Moves the earliest happening into `current`; false when none is left. */
  pop(): boolean {
    if (this.#size === 0) return false;
    const slot = this.#heap[0]!;
    const moved = this.#heap[--this.#size]!;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#size) break;
      if (child + 1 < this.#size && this.#before(this.#heap[child + 1]!, this.#heap[child]!)) {
        child++;
      }
      if (!this.#before(this.#heap[child]!, moved)) break;
      this.#heap[at] = this.#heap[child]!;
      at = child;
    }
    this.#heap[at] = moved;
    const current = this.current;
    current.kind = this.#kind[slot]!;
    current.timeMs = this.#time[slot]!;
    current.user = this.#user[slot]!;
    current.object = this.#object[slot]!;
    current.request = this.#request[slot]!;
    current.detail = this.#detail[slot]!;
    current.flags = this.#flags[slot]!;
    current.value = this.#value[slot]!;
    this.#free.push(slot);
    return true;
  }

  #before(a: number, b: number): boolean {
    const difference = this.#time[a]! - this.#time[b]!;
    return difference < 0 || (difference === 0 && this.#order[a]! < this.#order[b]!);
  }

  #newSlot(): number {
    if (this.#slots === this.#kind.length) this.#grow();
    return this.#slots++;
  }

  #grow(): void {
    const n = this.#kind.length * 2;
    this.#heap = widen(this.#heap, new Int32Array(n));
    this.#kind = widen(this.#kind, new Uint8Array(n));
    this.#time = widen(this.#time, new Float64Array(n));
    this.#order = widen(this.#order, new Float64Array(n));
    this.#user = widen(this.#user, new Int32Array(n));
    this.#object = widen(this.#object, new Int32Array(n));
    this.#request = widen(this.#request, new Int32Array(n));
    this.#detail = widen(this.#detail, new Int32Array(n));
    this.#flags = widen(this.#flags, new Int32Array(n));
    this.#value = widen(this.#value, new Float64Array(n));
  }
}

function widen<T extends { set(from: ArrayLike<number>): void }>(
  from: ArrayLike<number>,
  to: T,
): T {
  to.set(from);
  return to;
}
