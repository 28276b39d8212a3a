import { RoostError } from "../../errors.ts";
import type { App } from "./app.ts";

/**
 * Ends the server: no new connections, requests in flight finish, idle connections close. After `timeoutMs` the
 * rankings still in flight are aborted, and after `graceMs` more the connections left are cut.
 * Resolves with whether everything finished by itself.
 */
export async function closeGracefully(
  app: App,
  timeoutMs: number,
  graceMs = 500,
): Promise<boolean> {
  let clean = true;
  let cut: NodeJS.Timeout | undefined;
  const abort = setTimeout(() => {
    clean = false;
    app.stopping.abort(new RoostError("NOT_READY", "it is stopping"));
    cut = setTimeout(() => app.server.server.closeAllConnections(), graceMs);
  }, timeoutMs);
  try {
    await app.server.close();
  } finally {
    clearTimeout(abort);
    clearTimeout(cut);
  }
  return clean;
}
