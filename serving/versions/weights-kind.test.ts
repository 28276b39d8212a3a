import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadPreset, PRESETS } from "../weights/presets.ts";
import { effectiveWeights, type Overrides, weightsText } from "../weights/weights.ts";
import { LiveConfig } from "./live-config.ts";
import { VersionStore } from "./version-store.ts";
import { WEIGHTS_KIND, weightsKeeper } from "./weights-kind.ts";

const OVERRIDES: readonly Overrides[] = [
  {},
  { weights: { favorite: 9 }, params: { diversity_decay: 0.4 } },
];
let directory = "";
let store: VersionStore;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "roost-weights-"));
  store = new VersionStore(directory, [WEIGHTS_KIND]);
});
afterEach(async () => {
  await store.close();
  rmSync(directory, { recursive: true });
});

test("the checksum of a request's effective weights resolves to weights that rank the same", async () => {
  for (const name of PRESETS) {
    const base = await loadPreset(name);
    for (const override of OVERRIDES) {
      const effective = effectiveWeights(base, override);
      const keep = weightsKeeper(store);
      await keep(effective, 5);
      await keep(effective, 6);
      await weightsKeeper(store)(effective, 7);
      const version = store.resolve(effective.checksum);
      expect(version?.created_ms).toBe(5);
      const again = effectiveWeights(WEIGHTS_KIND.parse(version?.text ?? "", "kept"));
      expect(again).toEqual({ ...effective, name: again.name });
    }
  }
});

test("weights in force carry the checksum of their content, and a wrong sign is refused with its place", async () => {
  const live = new LiveConfig(store, WEIGHTS_KIND, "main");
  const text = weightsText(effectiveWeights(await loadPreset("world")));
  const snapshot = await live.offer(text, "weights.yaml", "ann", 1);
  expect(snapshot.checksum).toBe(snapshot.value.checksum);
  // A comment changes the text and not the weights.
  expect(await live.offer(`# why\n${text}`, "weights.yaml", "ann", 2)).toBe(snapshot);
  const wrong = text.replace(/"favorite": [\d.]+/, '"favorite": -1, "adore": 1');
  expect(wrong).not.toBe(text);
  await expect(live.offer(wrong, "weights.yaml", "ann", 3)).rejects.toThrow(
    /\/weights\/favorite .*\/weights\/adore /,
  );
  expect(live.current()).toBe(snapshot);
});
