import { RoostError } from "../../errors.ts";
import { type Bundle, type BundleManifest, modelsOf } from "../../features/bundle.ts";
import { checkBundle } from "../../features/check-bundle.ts";
import { checkWeights } from "../../features/check-weights.ts";
import {
  type Alias,
  type AliasFile,
  championLine,
  type Move,
  moveAlias,
} from "../../features/models/aliases.ts";
import { adoptUnversioned } from "../../features/models/champion.ts";
import { readVersion } from "../../features/models/versions.ts";
import { DEFAULT_GATE, type GateFinding, type GateRule, judge } from "./gate.ts";

export interface PromoteRequest {
  readonly stageDir: string;
  readonly version: string;
  /** Default `champion`. A challenger passes no gate: it is there to be tried. */
  readonly alias?: Alias;
  readonly gate?: readonly GateRule[];
  /** The champion as measured on the rows that the version was measured on, where its own figures are of other rows. */
  readonly remeasured?: BundleManifest;
  /** Promotes against the gate; the reason is kept in the history. */
  readonly force?: string;
  readonly action: Move["action"];
  readonly nowMs: number;
}

export interface Promotion {
  readonly version: string;
  readonly alias: Alias;
  /** Where the alias pointed before; null when nowhere. */
  readonly from: string | null;
  /** False when the version had the alias already. */
  readonly moved: boolean;
  readonly findings: readonly GateFinding[];
  /** What the gate would have refused. */
  readonly overridden: readonly string[];
}

/**
 * Points an alias to a version. As champion it must be usable by this program and pass the gate against the champion in
 * place; one that cannot be served any more (damaged, of other feature definitions) is no bar.
 * @throws BAD_BUNDLE when the version cannot be served, forced or not
 * @throws PROMOTION_REFUSED naming every metric that falls below the champion's
 */
export async function promote(request: PromoteRequest): Promise<Promotion> {
  const { stageDir, version, alias = "champion", gate = DEFAULT_GATE, action, nowMs } = request;
  await adoptUnversioned(stageDir, nowMs);
  let from: string | null = null;
  let findings: readonly GateFinding[] = [];
  let overridden: readonly string[] = [];
  const after = await moveAlias(stageDir, async (now) => {
    const { manifest } = await usable(stageDir, version);
    from = now[alias];
    if (from === version) return undefined;
    const champion = alias === "champion" ? await servedNow(stageDir, now) : undefined;
    if (champion !== undefined) {
      const { remeasured } = request;
      const rival = remeasured?.version === champion.version ? remeasured : champion;
      const verdict = judge(manifest, rival, gate);
      findings = verdict.findings;
      if (verdict.problems.length > 0 && request.force === undefined)
        throw new RoostError("PROMOTION_REFUSED", `${version}: ${verdict.problems.join("; ")}`);
      overridden = verdict.problems;
    }
    return {
      at_ms: nowMs,
      alias,
      action,
      to: version,
      ...(request.force === undefined ? {} : { reason: request.force }),
      ...(overridden.length === 0 ? {} : { overridden: [...overridden] }),
    };
  });
  return { version, alias, from, moved: from !== after[alias], findings, overridden };
}

/**
 * Points `champion` back to the one before; again, to the one before that.
 * @throws BAD_ARGUMENT when there is none before; BAD_BUNDLE when that one cannot be served
 */
export async function rollback(
  stageDir: string,
  nowMs: number,
): Promise<{ from: string; to: string }> {
  await adoptUnversioned(stageDir, nowMs);
  let from = "";
  let to = "";
  await moveAlias(stageDir, async (now) => {
    const line = championLine(now);
    from = line.at(-1) ?? "";
    to = line.at(-2) ?? "";
    if (to === "")
      throw new RoostError("BAD_ARGUMENT", `${stageDir} had no champion before this one`);
    await usable(stageDir, to);
    return { at_ms: nowMs, alias: "champion", action: "rollback", to };
  });
  return { from, to };
}

/** A version that this program can serve. @throws BAD_BUNDLE */
async function usable(stageDir: string, version: string): Promise<Bundle> {
  const bundle = await readVersion(stageDir, version);
  checkBundle(bundle.manifest);
  for (const model of modelsOf(bundle)) checkWeights(model);
  return bundle;
}

async function servedNow(
  stageDir: string,
  { champion }: AliasFile,
): Promise<BundleManifest | undefined> {
  if (champion === null) return undefined;
  try {
    return (await usable(stageDir, champion)).manifest;
  } catch (error) {
    if (error instanceof RoostError && error.code === "BAD_BUNDLE") return undefined;
    throw error;
  }
}
