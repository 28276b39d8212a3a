import { Command } from "commander";
import { importKuaiRand } from "../kuairand/import.ts";
import { formatReport } from "../kuairand/report.ts";

/** `roost import`: public data sets → segments of events. */
export function importCommand(): Command {
  const command = new Command("import").description("turn a public data set into event segments");
  command
    .command("kuairand")
    .description(
      "KuaiRand (any edition): log_*.csv, user_features*.csv, video_features_basic*.csv, also .gz",
    )
    .argument("<dir>", "directory that holds the CSV files")
    .requiredOption("--out <dir>", "new directory for the segments")
    .option("--no-history", "leave out the history lists")
    .option("--json", "print the report as JSON")
    .action(async (dir: string, options: { out: string; history: boolean; json?: boolean }) => {
      const report = await importKuaiRand({ dir, out: options.out, history: options.history });
      process.stdout.write(
        `${options.json ? JSON.stringify(report, null, 2) : formatReport(report)}\n`,
      );
    });
  return command;
}
