/** The child that `lmdb-store.test.ts` kills: commits without end and prints each position once it is on disk. */
import { writeSync } from "node:fs";
import { open } from "lmdb";
import { LmdbFeatureStore } from "./lmdb-store.ts";

const root = open({ path: process.argv[2] as string, maxDbs: 32 });
const store = await LmdbFeatureStore.open(root);
for (;;) {
  const position = store.position + 1;
  await store.transaction(position, (state) => {
    for (let i = 0; i < 50; i++) state.edit("user_surface", `k${i}`)[0] = position;
  });
  await store.flushed();
  writeSync(1, `${position}\n`);
}
