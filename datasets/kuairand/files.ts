import { readdirSync, statSync } from "node:fs";
import path from "node:path";
import { RoostError } from "../../errors.ts";

/** The files of a KuaiRand directory by what they hold, each list in name order. */
export interface KuaiRandFiles {
  readonly logs: readonly string[];
  readonly users: readonly string[];
  readonly videos: readonly string[];
  /** Lists of the last videos before the log begins; only the reduced edition has them. */
  readonly histories: readonly string[];
}

const KINDS = {
  logs: /^log_(standard|random).*\.csv(\.gz)?$/,
  users: /^user_features.*\.csv(\.gz)?$/,
  videos: /^video_features_basic.*\.csv(\.gz)?$/,
  histories: /^user_history.*\.csv(\.gz)?$/,
} as const;

/**
 * Finds the files of any KuaiRand edition in `dir`, or in its `data/` folder, where the authors' archives have them.
 * A file that is there plain and compressed counts once.
 * @throws BAD_DATASET when the directory, logs, user features or video features are missing
 */
export function findKuaiRandFiles(dir: string): KuaiRandFiles {
  const nested = path.join(dir, "data");
  for (const place of [dir, nested]) {
    const names = list(place, place === dir);
    if (names.some((name) => KINDS.logs.test(name))) return collect(place, names);
  }
  throw new RoostError("BAD_DATASET", `${dir} holds no log_standard*.csv or log_random*.csv`);
}

function list(dir: string, required: boolean): string[] {
  try {
    return readdirSync(dir)
      .filter((name) => statSync(path.join(dir, name)).isFile())
      .sort();
  } catch (cause) {
    if (!required) return [];
    throw new RoostError("BAD_DATASET", `${dir} cannot be listed`, cause);
  }
}

function collect(dir: string, names: readonly string[]): KuaiRandFiles {
  const all = new Set(names);
  const of = (kind: RegExp): string[] =>
    names
      .filter((name) => kind.test(name) && !(name.endsWith(".gz") && all.has(name.slice(0, -3))))
      .map((name) => path.join(dir, name));
  const files = {
    logs: of(KINDS.logs),
    users: of(KINDS.users),
    videos: of(KINDS.videos),
    histories: of(KINDS.histories),
  };
  if (files.users.length === 0)
    throw new RoostError("BAD_DATASET", `${dir} holds no user_features*.csv`);
  if (files.videos.length === 0)
    throw new RoostError("BAD_DATASET", `${dir} holds no video_features_basic*.csv`);
  return files;
}

/** A file's name without `.csv` and `.gz`. */
export const stem = (file: string): string => path.basename(file).replace(/\.csv(\.gz)?$/, "");
