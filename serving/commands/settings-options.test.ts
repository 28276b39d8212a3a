import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterEach, expect, test, vi } from "vitest";
import { flagOf, SETTING_NAMES, SettingsSchema } from "../settings.ts";
import { settingsOf, withSettings } from "./settings-options.ts";

afterEach(() => vi.unstubAllEnvs());
const flags = (...args: string[]): Record<string, unknown> => {
  const command = withSettings(new Command("c")).exitOverride();
  return command.parse(args, { from: "user" }).opts();
};

test("every setting is a flag with its description", () => {
  const help = withSettings(new Command("c")).helpInformation().replaceAll(/\s+/g, " ");
  for (const name of SETTING_NAMES) {
    expect(help).toContain(`${flagOf(name)} <value>`);
    expect(help).toContain(SettingsSchema.shape[name].description?.replaceAll(/\s+/g, " "));
  }
});

test("flags win over the environment, the environment over a command's defaults, those over the schema's", () => {
  vi.stubEnv("ROOST_PORT", "1111");
  vi.stubEnv("ROOST_HOST", "::1");
  const settings = settingsOf(flags("--port", "2222"), { host: "0.0.0.0", clock: "world" });
  expect(settings).toMatchObject({ port: 2222, host: "::1", clock: "world", dataDir: ".roost" });
});

test("a file that ROOST_CONFIG names is read, and problems of all places are in one error", () => {
  const dir = mkdtempSync(join(tmpdir(), "roost-settings-"));
  const file = join(dir, "my.yaml");
  writeFileSync(file, "port: 3333\nlog_level: loud\nshoe_size: 4\n");
  vi.stubEnv("ROOST_CONFIG", file);
  vi.stubEnv("ROOST_CLOCK", "moon");
  expect(() => settingsOf(flags("--inference-workers", "none"))).toThrow(
    /shoe_size[\s\S]*log_level[\s\S]*ROOST_CLOCK[\s\S]*--inference-workers/,
  );
  writeFileSync(file, "port: 3333\n");
  vi.stubEnv("ROOST_CLOCK", "wall");
  expect(settingsOf({}).port).toBe(3333);
  rmSync(dir, { recursive: true });
});
