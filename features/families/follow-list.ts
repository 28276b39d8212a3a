import type { FeatureFamily } from "../family.ts";

/** The newest follows that are kept. Twice the median of accounts that people follow, since many of those never post. */
const KEPT = 128;
const COUNT = 0;
/** Ids in two halves of 32 bits, oldest first: a float64 cannot hold 64. */
const IDS = 1;

/** Whom the viewer follows: read once a request, to look up what those write about. */
export const followList: FeatureFamily = {
  name: "follow_list",
  version: 1,
  entity: "user_follows",
  slots: IDS + 2 * KEPT,
  features: [],
  perRequest: true,
  reads: ["user_follows"],
  onEvent: (state, at, event) => {
    if (event.type !== "follow" && event.type !== "unfollow") return;
    remove(state, at, event.target_id);
    if (event.type === "follow") append(state, at, event.target_id);
  },
  read: () => {},
};

function remove(state: Float64Array, at: number, id: string): void {
  const [high, low] = halves(id);
  const end = at + IDS + 2 * (state[at + COUNT] as number);
  for (let i = at + IDS; i < end; i += 2) {
    if (state[i] !== high || state[i + 1] !== low) continue;
    state.copyWithin(i, i + 2, end);
    state.fill(0, end - 2, end);
    state[at + COUNT] = (state[at + COUNT] as number) - 1;
    return;
  }
}

function append(state: Float64Array, at: number, id: string): void {
  if (state[at + COUNT] === KEPT) {
    state.copyWithin(at + IDS, at + IDS + 2, at + IDS + 2 * KEPT);
    state[at + COUNT] = KEPT - 1;
  }
  const place = at + IDS + 2 * (state[at + COUNT] as number);
  [state[place], state[place + 1]] = halves(id);
  state[at + COUNT] = (state[at + COUNT] as number) + 1;
}

/** Calls `visit` with the id of each account in the list. */
export function eachFollow(state: Float64Array, at: number, visit: (id: string) => void): void {
  const end = at + IDS + 2 * (state[at + COUNT] as number);
  for (let i = at + IDS; i < end; i += 2) visit(idOf(state[i] as number, state[i + 1] as number));
}

const halves = (id: string): [number, number] => {
  const value = BigInt(id);
  return [Number(value >> 32n), Number(value & 0xffffffffn)];
};

/** Making a string of 64 bits costs more than looking one up; ids that share the low half displace each other. */
const remembered = new Map<number, { readonly high: number; readonly id: string }>();
const REMEMBERED = 100_000;

function idOf(high: number, low: number): string {
  const known = remembered.get(low);
  if (known?.high === high) return known.id;
  if (remembered.size >= REMEMBERED) remembered.clear();
  const id = String((BigInt(high) << 32n) | BigInt(low));
  remembered.set(low, { high, id });
  return id;
}
