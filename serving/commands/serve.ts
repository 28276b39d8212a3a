import { Command } from "commander";
import { type Logger, pino } from "pino";
import { RoostError } from "../../errors.ts";
import { openServer, type Server } from "../server.ts";
import type { Settings } from "../settings.ts";
import { settingsOf, withSettings } from "./settings-options.ts";

export function serveCommand(): Command {
  return withSettings(
    new Command("serve").description("serve from the artifacts in the data directory"),
  ).action(async (flags: Record<string, unknown>) => {
    const settings = settingsOf(flags);
    const server = await listen(settings, pino({ level: settings.logLevel }));
    process.stdout.write(`${addressOf(server)}\n`);
  });
}

const LOOPBACK = /^(localhost|127(\.\d+){3}|::1)$/;

/** Opens the server, its port, and ends it cleanly on SIGTERM and SIGINT. */
export async function listen(settings: Settings, logger: Logger): Promise<Server> {
  const server = await openServer(settings, logger);
  let closing: Promise<void> | undefined;
  const stop = (signal: NodeJS.Signals): void => {
    if (closing !== undefined) return;
    logger.info({ signal }, "stopping");
    closing = server.close();
    closing.catch((error: unknown) => {
      logger.error({ err: error }, "stopping failed");
      process.exitCode = 1;
    });
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  try {
    await server.app.server.listen({ host: settings.host, port: settings.port });
  } catch (error) {
    await server.close();
    throw new RoostError(
      "BAD_CONFIG",
      `port ${settings.port} on ${settings.host} cannot be opened (${(error as NodeJS.ErrnoException).code}); set ROOST_PORT or ROOST_HOST`,
      error,
    );
  }
  if (settings.operatorToken === undefined && !LOOPBACK.test(settings.host))
    logger.warn(
      { host: settings.host },
      "whoever reaches the port may move versions; set ROOST_OPERATOR_TOKEN",
    );
  return server;
}

/** The URL under which the server answers. */
export function addressOf(server: Server): string {
  const address = server.app.server.server.address();
  if (address === null || typeof address === "string") return "not listening";
  const host = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return `http://${host}:${address.port}`;
}
