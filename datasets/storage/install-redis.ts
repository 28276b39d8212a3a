import { spawnSync } from "node:child_process";

/** Before the tests: gets redis-server from Debian where it is missing and this process may install it. */
export function setup(): void {
  if (spawnSync("redis-server", ["--version"]).status === 0 || process.getuid?.() !== 0) return;
  const apt = (...args: string[]): boolean =>
    spawnSync("apt-get", args, {
      stdio: "ignore",
      // The package would start a server of its own on the usual port.
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" },
    }).status === 0;
  const install = (): boolean => apt("install", "-y", "--no-install-recommends", "redis-server");
  if (!install()) apt("update") && install();
}
