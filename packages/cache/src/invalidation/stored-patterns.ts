/** What Redis keeps of patterns and clears: entries below the floor are out, others if a later pattern matches. */
export interface StoredPatterns {
  readonly floorVersion: number
  readonly patterns: readonly (readonly [version: number, pattern: string])[]
}

/** Reads the list that the scripts keep. Their JSON has no form for an empty list but leaving it out. */
export function parseStoredPatterns(text: string): StoredPatterns {
  const { f: floor, p: patterns } = JSON.parse(text) as { f: string; p?: [string, string][] }
  return {
    floorVersion: Number(floor),
    patterns: Array.isArray(patterns)
      ? patterns.map(([version, pattern]): [number, string] => [Number(version), pattern])
      : [],
  }
}
