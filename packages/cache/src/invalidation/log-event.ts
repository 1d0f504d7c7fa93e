import type { InvalidationTargets } from '../redis/invalidation-writer.ts'

/** One record of the log. */
export type LogEvent =
  | {
      readonly kind: 'invalidation'
      /** Number of the invalidation before this one: where it is another than was read last, some are missing. */
      readonly previous: number
      readonly version: number
      readonly origin: string
      readonly targets: InvalidationTargets
    }
  /** A load that others waited for has ended. */
  | { readonly kind: 'filled'; readonly key: string }

/** A record's fields as Redis sends them, or undefined for one that is not understood. */
export function parseLogEvent(fields: readonly Buffer[]): LogEvent | undefined {
  const record: Record<string, string> = {}
  for (let index = 0; index + 1 < fields.length; index += 2) {
    record[String(fields[index])] = String(fields[index + 1])
  }
  const { f: key, p: previous, v: version, o: origin = '', x: what } = record
  if (key !== undefined) return { kind: 'filled', key }
  if (previous === undefined || version === undefined || what === undefined) return undefined
  const { k: keys = [], t: tags = [], g: patterns = [], c: everything = false } = parseTargets(what)
  return {
    kind: 'invalidation',
    previous: Number(previous),
    version: Number(version),
    origin,
    targets: { keys, tags, patterns, everything },
  }
}

interface RawTargets {
  readonly k?: readonly string[]
  readonly t?: readonly string[]
  readonly g?: readonly string[]
  readonly c?: boolean
}

/** A record that cannot be read may have meant anything, so it counts as everything. */
function parseTargets(what: string): RawTargets {
  try {
    return JSON.parse(what) as RawTargets
  } catch {
    return { c: true }
  }
}
