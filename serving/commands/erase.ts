import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { Command, InvalidArgumentError } from "commander";
import { Id } from "../../datasets/ids.ts";
import { openDataDir } from "../../datasets/storage/data-dir.ts";
import { RoostError } from "../../errors.ts";
import { type ErasureReceipt, eraseUser } from "../erasure/erase-user.ts";
import { settingsOf, withSettings } from "./settings-options.ts";

export function eraseCommand(): Command {
  return withSettings(
    new Command("erase")
      .description("remove every record of a user from a data directory that nobody serves from")
      .requiredOption("--user <id>", "who is erased", userId)
      .option("--json", "print the receipt as JSON"),
  ).action(async (flags: Record<string, unknown>) => {
    const { dataDir } = settingsOf(flags);
    if (!existsSync(dataDir))
      throw new RoostError("BAD_ARGUMENT", `there is no data directory ${dataDir}`);
    const dir = openDataDir(dataDir, "own");
    try {
      const receipt = await eraseUser(dir, {
        userId: flags.user as string,
        nowMs: Date.now(),
        salt: randomBytes(16).toString("hex"),
      });
      process.stdout.write(
        flags.json ? `${JSON.stringify(receipt, null, 2)}\n` : readable(receipt),
      );
    } finally {
      dir.close();
    }
  });
}

function userId(text: string): string {
  const parsed = Id.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError(parsed.error.issues[0]?.message ?? "must be an id");
}

function readable(receipt: ErasureReceipt): string {
  const list = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .map(([type, count]) => `${count} ${type}`)
      .join(", ") || "none";
  return [
    `removed    ${list(receipt.records_removed)}`,
    `redacted   ${list(receipt.records_redacted)}`,
    `segments   ${receipt.segments_rewritten.length} written anew`,
    `sticky     ${receipt.sticky_documents_removed} arms forgotten`,
    "the next start builds features and snapshot again; models are as they were trained\n",
  ].join("\n");
}
