import { Command } from "commander";
import { materializeCommand } from "./features-materialize.ts";

/** `roost features`: the state that features are computed from. */
export function featuresCommand(): Command {
  return new Command("features")
    .description("build the feature state of this build on Redis")
    .addCommand(materializeCommand().exitOverride());
}
