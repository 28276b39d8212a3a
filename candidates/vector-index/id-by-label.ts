/** Labels that share a block. */
const BLOCK = 4096;

/**
 * Id by label. Labels are given in order and never again, so ids stand in blocks, of which an emptied one is let go: a
 * search reads hundreds, and a map of a million takes .2 µs for each.
 */
export class IdByLabel {
  readonly #blocks = new Map<number, { readonly ids: (string | undefined)[]; used: number }>();

  /** Blocks in memory. */
  get blocks(): number {
    return this.#blocks.size;
  }

  get(label: number): string | undefined {
    return this.#blocks.get(Math.floor(label / BLOCK))?.ids[label % BLOCK];
  }

  set(label: number, id: string): void {
    const at = Math.floor(label / BLOCK);
    let block = this.#blocks.get(at);
    if (block === undefined) {
      block = { ids: new Array<string | undefined>(BLOCK).fill(undefined), used: 0 };
      this.#blocks.set(at, block);
    }
    block.ids[label % BLOCK] = id;
    block.used++;
  }

  /** @param label one that was set */
  delete(label: number): void {
    const at = Math.floor(label / BLOCK);
    const block = this.#blocks.get(at);
    if (block === undefined) return;
    block.ids[label % BLOCK] = undefined;
    if (--block.used === 0) this.#blocks.delete(at);
  }
}
