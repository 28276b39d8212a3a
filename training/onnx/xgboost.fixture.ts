import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Debian's interpreter is asked too: another that comes first in the path need not have its packages. */
const PYTHONS = ["python3", "/usr/bin/python3"];

/** A Python that has XGBoost, or undefined. */
export function pythonWithXgboost(): string | undefined {
  return PYTHONS.find((python) => spawnSync(python, ["-c", "import xgboost"]).status === 0);
}

/**
 * Trains in XGBoost on data of few distinct values (so that rows lie exactly on thresholds) with missing ones, and
 * writes for each case model, dump, rows and XGBoost's own predictions.
 */
const SCRIPT = `
import json, sys
import numpy as np, xgboost as xgb
out = sys.argv[1]
rng = np.random.default_rng(5)
n, d = 1500, 6
x = np.round(rng.normal(size=(n, d)).astype(np.float32), 1)
x[:, 3] = np.exp(3 * rng.normal(size=n)).astype(np.float32)
x[rng.random((n, d)) < 0.25] = np.nan
z = np.nan_to_num(x[:, 0], nan=1.0) - 0.7 * np.nan_to_num(x[:, 1], nan=-1.0) + 0.3 * np.log1p(np.nan_to_num(x[:, 3]))
y = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(np.float32)
base = {"max_depth": 5, "eta": 0.3, "seed": 1, "nthread": 1, "verbosity": 0}
cases = {
  "logistic": (dict(base, objective="binary:logistic", base_score=0.3, tree_method="hist", gamma=0.5), y, 60),
  "exact": (dict(base, objective="binary:logistic", tree_method="exact", gamma=2), y, 40),
  "logitraw": (dict(base, objective="binary:logitraw", base_score=0.2), y, 10),
  "squared": (dict(base, objective="reg:squarederror", base_score=2.5), (5 + 3 * z).astype(np.float32), 40),
  "poisson": (dict(base, objective="count:poisson", base_score=0.7), rng.poisson(np.exp(0.3 * z)).astype(np.float32), 30),
  "softprob": (dict(base, objective="multi:softprob", num_class=3), np.digitize(z, [-0.5, 0.8]).astype(np.float32), 20),
  "targets": (dict(base, objective="binary:logistic", base_score=0.4, tree_method="hist"), np.stack([y, 1 - y * (rng.random(n) < 0.5)], axis=1).astype(np.float32), 15),
  "dart": (dict(base, objective="binary:logistic", booster="dart", rate_drop=0.3), y, 20),
  "forest": (dict(base, objective="binary:logistic", num_parallel_tree=4, subsample=0.7), y, 5),
}
x.tofile(out + "/rows.bin")
for name, (params, label, rounds) in cases.items():
    booster = xgb.train(params, xgb.DMatrix(x, label), rounds)
    booster.save_model(f"{out}/{name}.json")
    booster.dump_model(f"{out}/{name}.dump.json", dump_format="json")
    p = booster.predict(xgb.DMatrix(x)).astype(np.float32).reshape(n, -1)
    p.tofile(f"{out}/{name}.bin")
`;

export interface XgboostCases {
  readonly features: number;
  readonly rows: Float32Array;
  model(name: string): unknown;
  dump(name: string): unknown;
  /** [n, outputs] */
  predictions(name: string): Float32Array;
  remove(): void;
}

export function makeXgboostCases(python: string): XgboostCases {
  const dir = mkdtempSync(join(tmpdir(), "roost-xgboost-"));
  const script = join(dir, "train.py");
  writeFileSync(script, SCRIPT);
  const { status, stderr } = spawnSync(python, [script, dir], { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  const floats = (name: string): Float32Array =>
    new Float32Array(new Uint8Array(readFileSync(join(dir, name))).buffer);
  const json = (name: string): unknown => JSON.parse(readFileSync(join(dir, name), "utf8"));
  return {
    features: 6,
    rows: floats("rows.bin"),
    model: (name) => json(`${name}.json`),
    dump: (name) => json(`${name}.dump.json`),
    predictions: (name) => floats(`${name}.bin`),
    remove: () => rmSync(dir, { recursive: true }),
  };
}
