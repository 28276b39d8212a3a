import { ExactIndex } from "./exact-index.ts";
import { DIMENSION, vectorIndexContract } from "./vector-index.contract.ts";

vectorIndexContract(
  "exact index",
  async () => new ExactIndex(DIMENSION),
  (dir) => ExactIndex.load(dir),
  1,
);
