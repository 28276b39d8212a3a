import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { isAlive, ownIdentity, ProcessIdentity } from "./process-identity.ts";

/** What became of an attempt to take a lock file. */
export type LockAttempt =
  | { readonly taken: true; release(): void }
  | { readonly taken: false; readonly owner: ProcessIdentity | undefined };

/**
 * Takes the lock file at `file` unless a living process holds it. A lock whose process is dead is taken over: that
 * happens under a second lock (`FILE.takeover`, by the same rules), because two contenders could otherwise both find
 * the dead owner and the slower one would replace the faster one's living lock.
 */
export function takeLockFile(file: string): LockAttempt {
  const own = `${JSON.stringify(ownIdentity())}\n`;
  const draft = `${file}.${process.pid}.draft`;
  // A link of a finished file appears whole and fails if the name exists; a lock file is never seen half-written.
  writeFileSync(draft, own);
  try {
    if (link(draft, file)) return taken(file, own);
    const found = readFileSync(file, "utf8");
    const owner = parse(found);
    if (owner === undefined || isAlive(owner)) return { taken: false, owner };
    const takeover = takeLockFile(`${file}.takeover`);
    if (!takeover.taken) return { taken: false, owner: takeover.owner };
    try {
      // Someone may have taken it over in between.
      const now = readFileSync(file, "utf8");
      if (now !== found) return { taken: false, owner: parse(now) };
      renameSync(draft, file);
      return taken(file, own);
    } finally {
      takeover.release();
    }
  } catch (error) {
    // Released between the link and the read: the next attempt may have it.
    if ((error as NodeJS.ErrnoException).code === "ENOENT")
      return { taken: false, owner: undefined };
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

function link(draft: string, file: string): boolean {
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function parse(text: string): ProcessIdentity | undefined {
  try {
    return ProcessIdentity.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function taken(file: string, own: string): LockAttempt {
  let held = true;
  return {
    taken: true,
    release: () => {
      if (!held) return;
      held = false;
      // Only our own: a user may have removed the file by hand and started another owner.
      try {
        if (readFileSync(file, "utf8") === own) rmSync(file);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      }
    },
  };
}
