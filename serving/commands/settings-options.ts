import type { Command } from "commander";
import { flagOf, loadSettings, SETTING_NAMES, type Settings, SettingsSchema } from "../settings.ts";

/** The settings file that is read from the working directory when there is one. */
const DEFAULT_FILE = "roost.yaml";

/** Adds one option per deployment setting, described by the schema. */
export function withSettings(command: Command): Command {
  for (const name of SETTING_NAMES) {
    const about = SettingsSchema.shape[name].description ?? "";
    command.option(`${flagOf(name)} <value>`, about);
  }
  return command;
}

/** The settings from flags, environment and file. @throws BAD_CONFIG with every problem */
export function settingsOf(
  flags: Readonly<Record<string, unknown>>,
  defaults: Partial<Settings> = {},
): Settings {
  const given = Object.fromEntries(
    SETTING_NAMES.flatMap((name) => (flags[name] === undefined ? [] : [[name, flags[name]]])),
  );
  return loadSettings({ env: process.env, flags: given, defaults, defaultFile: DEFAULT_FILE });
}
