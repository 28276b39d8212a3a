/**
 * The arms that a unit once got, kept so that it stays in them when weights or targeting change.
 * Source: GrowthBook SDK specification, "sticky bucketing".
 */
export interface StickyDocument {
  readonly attributeName: string;
  readonly attributeValue: string;
  /** `<experiment key>__<bucket version>` → variation key. */
  readonly assignments: Readonly<Record<string, string>>;
}

export function stickyKey(attributeName: string, attributeValue: string): string {
  return `${attributeName}||${attributeValue}`;
}

export function stickyAssignmentKey(experiment: string, bucketVersion: number): string {
  return `${experiment}__${bucketVersion}`;
}

/** The documents read for one evaluation. New arms go in here, so that the evaluation itself stays without effects. */
export interface StickySession {
  get(attributeName: string, attributeValue: string): StickyDocument | undefined;
  /** Notes an arm; a document that already says so stays unchanged. */
  note(attributeName: string, attributeValue: string, assignment: string, variation: string): void;
  /** Documents by key with the noted arms, read ones included. */
  documents(): ReadonlyMap<string, StickyDocument>;
  /** Only what was noted and is to be stored. */
  changes(): readonly StickyDocument[];
}

export function stickySession(documents: Iterable<StickyDocument>): StickySession {
  const byKey = new Map<string, StickyDocument>();
  for (const document of documents) {
    byKey.set(stickyKey(document.attributeName, document.attributeValue), document);
  }
  const changed = new Set<string>();
  return {
    get: (name, value) => byKey.get(stickyKey(name, value)),
    note(attributeName, attributeValue, assignment, variation) {
      const key = stickyKey(attributeName, attributeValue);
      const assignments = byKey.get(key)?.assignments ?? {};
      if (assignments[assignment] === variation) return;
      byKey.set(key, {
        attributeName,
        attributeValue,
        assignments: { ...assignments, [assignment]: variation },
      });
      changed.add(key);
    },
    documents: () => byKey,
    changes: () => Array.from(changed, (key) => byKey.get(key) as StickyDocument),
  };
}
