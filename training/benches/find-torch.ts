import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

/** A Python that has PyTorch, or why there is none. */
export type FoundTorch = { readonly python: string } | { readonly skipped: string };

const INSTALL_MS = 1_200_000;
const DEBIAN_PYTHON = "/usr/bin/python3";

/**
 * PyTorch of at least version 2, made where there is none: in a virtual environment in `dir` by pip from the index that
 * pip is configured with, or else, for root, Debian's with a fast BLAS. Nothing else of the machine changes.
 * @param python asks this one only and installs nothing
 */
export function findTorch(dir: string, python?: string): FoundTorch {
  if (python !== undefined) {
    const problem = lacks(python);
    return problem === undefined ? { python } : { skipped: `${python}: ${problem}` };
  }
  const own = join(dir, "venv", "bin", "python");
  for (const known of [own, "python3"]) if (lacks(known) === undefined) return { python: known };
  const reasons: string[] = [];
  const environment = run("python3", ["-m", "venv", join(dir, "venv")]);
  if (environment !== undefined) reasons.push(`python3 -m venv: ${environment}`);
  else {
    const installed = run(own, ["-m", "pip", "install", "--quiet", "--retries", "1", "torch>=2"]);
    const problem = installed ?? lacks(own);
    if (problem === undefined) return { python: own };
    reasons.push(`pip install torch: ${problem}`);
  }
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get"))
    return { skipped: [...reasons, "apt-get needs root on Debian"].join("; ") };
  const installed = run("apt-get", [
    "install",
    "-y",
    "-q",
    "--no-install-recommends",
    "python3-torch",
    "libopenblas0-pthread",
  ]);
  const problem = installed ?? lacks(DEBIAN_PYTHON, 1);
  if (problem === undefined) return { python: DEBIAN_PYTHON };
  return { skipped: [...reasons, `apt-get install python3-torch: ${problem}`].join("; ") };
}

/** Why a Python cannot be used; undefined when it can. */
function lacks(python: string, major = 2): string | undefined {
  const told = `import torch; v = torch.__version__; assert int(v.split('.')[0]) >= ${major}, 'torch ' + v`;
  return run(python, ["-c", told]);
}

/** The last line of what went wrong; undefined when nothing did. */
function run(program: string, args: readonly string[]): string | undefined {
  const { status, stderr, error } = spawnSync(program, args, {
    encoding: "utf8",
    stdio: ["ignore", "ignore", "pipe"],
    timeout: INSTALL_MS,
  });
  if (error !== undefined) return error.message;
  if (status === 0) return undefined;
  return stderr.trim().split("\n").at(-1) || `ended with ${status}`;
}
