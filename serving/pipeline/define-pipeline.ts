import { RoostError } from "../../errors.ts";
import { LIGHT_CUT } from "./run-pipeline.ts";
import { BELOW_PAGE } from "./run-selection.ts";
import { DUPLICATE } from "./run-sources.ts";
import type { Component, Pipeline } from "./stages.ts";

/** The components of a pipeline in the order of their stages. */
export function componentsOf<Query>(pipeline: Pipeline<Query>): Component<Query>[] {
  return [
    ...pipeline.queryHydrators,
    ...pipeline.sources,
    ...pipeline.mergeFilters,
    ...pipeline.hydrators,
    ...pipeline.filters,
    ...pipeline.lightHydrators,
    ...pipeline.lightScorers,
    ...pipeline.heavyHydrators,
    ...pipeline.heavyScorers,
    ...pipeline.adjustingScorers,
    pipeline.selector,
    ...pipeline.selectedHydrators,
    ...pipeline.selectedFilters,
    ...pipeline.sideEffects,
  ];
}

/**
 * Returns the pipeline when its declarations make sense.
 * @throws BAD_CONFIG naming every component whose name is taken or malformed or whose timeout is unusable.
 */
export function definePipeline<Query>(pipeline: Pipeline<Query>): Pipeline<Query> {
  const problems: string[] = [];
  const taken = new Set<string>([DUPLICATE, LIGHT_CUT, BELOW_PAGE]);
  for (const { name, timeoutMs } of componentsOf(pipeline)) {
    if (!/^[a-z][a-z0-9_]*$/.test(name)) problems.push(`${name}: a name is snake_case`);
    if (taken.has(name)) problems.push(`${name}: this name is taken`);
    taken.add(name);
    if (!Number.isFinite(timeoutMs) || timeoutMs < 0)
      problems.push(`${name}: timeoutMs must be a finite number ≥ 0, not ${timeoutMs}`);
  }
  for (const { name, timeoutMs } of [
    ...pipeline.mergeFilters,
    ...pipeline.filters,
    ...pipeline.selectedFilters,
    pipeline.selector,
  ]) {
    if (timeoutMs !== 0)
      problems.push(`${name}: filters and selectors are synchronous, timeoutMs 0`);
  }
  for (const { name, timeoutMs } of pipeline.sideEffects)
    if (timeoutMs === 0) problems.push(`${name}: side effects are awaited, timeoutMs above 0`);
  if (pipeline.sources.length === 0) problems.push("sources: at least one is needed");
  if (pipeline.sources.length > 255) problems.push("sources: at most 255");
  if (problems.length > 0)
    throw new RoostError("BAD_CONFIG", `pipeline ${pipeline.name}: ${problems.join("; ")}`);
  return pipeline;
}
