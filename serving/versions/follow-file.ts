import { readFile } from "node:fs/promises";
import { RoostError } from "../../errors.ts";
import type { ServerClock } from "../http/services.ts";
import type { LiveConfig } from "./live-config.ts";
import { type FileWatch, watchFile } from "./watch-file.ts";

/** What a configuration is when no file is named: a mapping without entries. */
const NO_FILE = { path: "no file", text: "{}" };

/**
 * Takes a file's text now and follows its edits. A file that is not usable is refused only when nothing is in force yet.
 * Without a file the empty configuration is taken, under the same rule: a move by other means outlives it.
 * @throws BAD_CONFIG when there is no version to serve with
 */
export async function followFile<T>(
  config: LiveConfig<T>,
  path: string | undefined,
  clock: ServerClock,
  onError: (error: unknown) => void,
): Promise<() => Promise<void>> {
  const text = await textOf(path);
  const name = path ?? NO_FILE.path;
  if (!config.inForce) await config.offer(text, name, `file:${name}`, clock.nowMs());
  // Also after a first offer: it notes the text as looked at.
  await config.offerFile(text, name, clock.nowMs());
  if (path === undefined) return async () => {};
  const watch: FileWatch = watchFile(
    path,
    (edited) => config.offerFile(edited, path, clock.nowMs()),
    onError,
  );
  return () => watch.close();
}

/** Leaves what is in force; a data directory without a version takes the file's. */
export async function takeFirst<T>(
  config: LiveConfig<T>,
  path: string | undefined,
  clock: ServerClock,
): Promise<() => Promise<void>> {
  if (!config.inForce) {
    const name = path ?? NO_FILE.path;
    await config.offer(await textOf(path), name, `file:${name}`, clock.nowMs());
  }
  return async () => {};
}

async function textOf(path: string | undefined): Promise<string> {
  if (path === undefined) return NO_FILE.text;
  return readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new RoostError("BAD_CONFIG", `${path} cannot be read (${error.code})`, error);
  });
}
