import { SqlSyntaxError, parseStatement } from '../../sql/index.ts'

/** A statement as somebody saw it run. */
export interface WorkloadRecord {
  readonly text: string
  /** How often. @default 1 */
  readonly calls?: number | undefined
  /** `undefined` where nobody has measured. */
  readonly meanMs?: number | undefined
  /** Lists of parameters of some of the runs. */
  readonly samples?: readonly (readonly unknown[])[] | undefined
}

/** A statement of the workload: texts that differ in their constants are entries of their own. */
export interface WorkloadEntry {
  readonly text: string
  /** The text with a `$n` in place of each constant: all of it that may be shown. */
  readonly statement: string
  readonly fingerprint: string
  readonly calls: number
  readonly meanMs: number | undefined
  readonly samples: readonly (readonly unknown[])[]
}

/** Texts of one fingerprint that are told apart; the calls of further ones go to these. */
const MAX_TEXTS_OF_ONE = 8
const MAX_SAMPLES = 32
const KINDS: ReadonlySet<string> = new Set(['select', 'insert', 'update', 'delete', 'merge'])

/** Statements, how often and for how long each runs, and samples of their parameters. */
export class Workload {
  readonly entries: readonly WorkloadEntry[]
  /** Texts that were left out: PostgreSQL's parser does not understand them. */
  readonly unreadable: number

  private constructor(entries: readonly WorkloadEntry[], unreadable: number) {
    this.entries = entries
    this.unreadable = unreadable
  }

  /** Adds up the records of equal texts. What is neither a read nor a write of rows is left out. */
  static async from(
    records: Iterable<WorkloadRecord> | AsyncIterable<WorkloadRecord>,
  ): Promise<Workload> {
    const byFingerprint = new Map<string, WorkloadEntry[]>()
    let unreadable = 0
    for await (const record of records) {
      const entry = await entryOf(record)
      if (entry === 'unreadable') unreadable += 1
      if (typeof entry !== 'object') continue
      const known = byFingerprint.get(entry.fingerprint)
      if (known === undefined) byFingerprint.set(entry.fingerprint, [entry])
      else addTo(known, entry)
    }
    return new Workload([...byFingerprint.values()].flat(), unreadable)
  }
}

async function entryOf({
  text,
  calls = 1,
  meanMs,
  samples = [],
}: WorkloadRecord): Promise<WorkloadEntry | 'unreadable' | 'other'> {
  try {
    const { normalized: statement, fingerprint, kind } = await parseStatement(text)
    if (!KINDS.has(kind)) return 'other'
    return { text, statement, fingerprint, calls, meanMs, samples: samples.slice(0, MAX_SAMPLES) }
  } catch (error) {
    // One damaged line of a log does not make the others worthless; they are counted.
    if (error instanceof SqlSyntaxError || error instanceof RangeError) return 'unreadable'
    throw error
  }
}

function addTo(known: WorkloadEntry[], entry: WorkloadEntry): void {
  const same = known.findIndex(({ text }) => text === entry.text)
  if (same < 0 && known.length < MAX_TEXTS_OF_ONE) {
    known.push(entry)
    return
  }
  const at = Math.max(0, same)
  const old = known[at] ?? entry
  const calls = old.calls + entry.calls
  // Parameters of a text with other constants have another meaning.
  const samples = same < 0 ? old.samples : [...old.samples, ...entry.samples].slice(0, MAX_SAMPLES)
  known[at] = { ...old, calls, meanMs: meanOf(old, entry), samples }
}

function meanOf(a: WorkloadEntry, b: WorkloadEntry): number | undefined {
  if (a.meanMs === undefined || b.meanMs === undefined) return a.meanMs ?? b.meanMs
  const calls = a.calls + b.calls
  return calls === 0 ? a.meanMs : (a.meanMs * a.calls + b.meanMs * b.calls) / calls
}
