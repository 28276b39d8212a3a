import { Command } from "commander";
import { addCommand } from "./models-add.ts";
import { compareCommand } from "./models-compare.ts";
import { listCommand } from "./models-list.ts";
import { promoteCommand, rollbackCommand } from "./models-promote.ts";
import { quantiseCommand } from "./models-quantise.ts";
import { showCommand } from "./models-show.ts";

/** `roost models`: the versions of every stage, and what is served of them. */
export function modelsCommand(): Command {
  const command = new Command("models").description(
    "list, compare, promote, roll back, add and quantise versions of models",
  );
  for (const verb of [
    listCommand(),
    showCommand(),
    compareCommand(),
    promoteCommand(),
    rollbackCommand(),
    addCommand(),
    quantiseCommand(),
  ])
    command.addCommand(verb.exitOverride());
  return command;
}
