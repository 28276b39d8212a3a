#!/usr/bin/env node
import { Command, CommanderError } from "commander";
import { RoostError } from "./errors.ts";
import type { RetrievalJudge } from "./experiments/retrieval/judge.ts";

/** Serving and training do not import each other: what judges retrieval is handed over here, loaded when it is used. */
const judgeRetrieval: RetrievalJudge = async (question) =>
  (await import("./training/baselines/retrieval-report.ts")).retrievalReport(question);

/** verb → what it does and the file that owns it, loaded only when the verb is used. */
const VERBS: Record<string, { about: string; load: () => Promise<Command> }> = {
  start: {
    about: "make the demo world, train, build the indexes, serve and print a ranked timeline",
    load: async () => (await import("./serving/commands/start.ts")).startCommand(),
  },
  serve: {
    about: "serve from the artifacts in the data directory",
    load: async () => (await import("./serving/commands/serve.ts")).serveCommand(),
  },
  simulate: {
    about: "generate a simulated network and print its target table",
    load: async () => (await import("./datasets/commands/simulate.ts")).simulateCommand(),
  },
  export: {
    about: "write visible features, labels, true probabilities and split of a data set",
    load: async () => (await import("./training/commands/export.ts")).exportCommand(),
  },
  import: {
    about: "turn a public data set into log segments",
    load: async () => (await import("./datasets/commands/import.ts")).importCommand(),
  },
  train: {
    about: "train rankers on a data set and publish them as new versions",
    load: async () => (await import("./training/commands/train.ts")).trainCommand(),
  },
  features: {
    about: "build the feature state of this build on Redis, beside a running server of another",
    load: async () => (await import("./features/commands/features.ts")).featuresCommand(),
  },
  models: {
    about: "list, compare, promote, roll back and add versions of models",
    load: async () => (await import("./training/commands/models.ts")).modelsCommand(),
  },
  evaluate: {
    about: "judge models and rankings on held-out data",
    load: async () =>
      (await import("./serving/commands/evaluate.ts")).evaluateCommand(judgeRetrieval),
  },
  rank: {
    about: "print one user's ranked timeline",
    load: async () => (await import("./serving/commands/rank.ts")).rankCommand(),
  },
  erase: {
    about: "remove every record of a user from a data directory that nobody serves from",
    load: async () => (await import("./serving/commands/erase.ts")).eraseCommand(),
  },
  bench: {
    about: "run a benchmark by name",
    load: async () => (await import("./serving/commands/bench.ts")).benchCommand(),
  },
};

async function main(argv: readonly string[]): Promise<void> {
  const program = new Command("roost").description(
    "Home-timeline ranking and model serving that teams can run themselves.",
  );
  program.exitOverride().enablePositionalOptions();
  const asked = argv[0];
  for (const [verb, { about, load }] of Object.entries(VERBS)) {
    if (verb === asked) program.addCommand((await load()).exitOverride());
    else program.command(verb).description(about);
  }
  sayErrorsAsOurs(program);
  if (asked === undefined) program.help();
  await program.parseAsync(argv as string[], { from: "user" });
}

/** Lets a command line that cannot be read be told in one line with a remedy, like every other error. */
function sayErrorsAsOurs(command: Command): void {
  command.configureOutput({
    outputError: (text, write) => {
      const detail = text
        .trim()
        .replace(/^error: /, "")
        .replaceAll("\n", " ");
      write(errorLine(new RoostError("BAD_ARGUMENT", detail)));
    },
  });
  for (const verb of command.commands) sayErrorsAsOurs(verb);
}

const errorLine = ({ message, remedy }: RoostError): string => `roost: ${message}; ${remedy}\n`;

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has already said what was wrong, or has printed the help that was asked for.
    process.exitCode = error.exitCode === 0 ? 0 : 1;
  } else if (error instanceof RoostError) {
    process.stderr.write(errorLine(error));
    process.exitCode = 1;
  } else {
    throw error;
  }
}
