import type { WorkloadRecord } from './workload.ts'

/** Columns of csvlog, from 0. Source: PostgreSQL manual, "Using CSV-Format Log Output". */
const MESSAGE = 13
const DETAIL = 14

const DURATION =
  /^duration: (?<ms>\d+(?:\.\d+)?) ms {2}(?:statement|execute [^:]*|parse [^:]*|bind [^:]*): (?<text>[\s\S]+)$/
const PARAMETERS = /^(?:[Pp]arameters|Query Parameters): (?<list>[\s\S]+)$/
const PARAMETER = /\$\d+ = (?:NULL|'(?<value>(?:[^']|'')*)')/g

/** Statements of a csvlog: those that `log_min_duration_statement` has let through, with their parameters. */
export function* workloadOfCsvLog(csv: string): Generator<WorkloadRecord> {
  for (const row of csvRows(csv)) yield* recordOf(row[MESSAGE] ?? '', row[DETAIL] ?? '')
}

/** The same of a jsonlog, one JSON object a line. Lines that are none are passed over. */
export function* workloadOfJsonLog(log: string): Generator<WorkloadRecord> {
  for (const line of log.split('\n')) {
    const entry = objectOf(line)
    if (entry === undefined) continue
    const { message, detail } = entry
    if (typeof message !== 'string') continue
    yield* recordOf(message, typeof detail === 'string' ? detail : '')
  }
}

function* recordOf(message: string, detail: string): Generator<WorkloadRecord> {
  const { ms, text } = DURATION.exec(message)?.groups ?? {}
  // With a duration for each, only the execution is the statement's; preparing it is not.
  if (text === undefined || /^duration: \S+ ms {2}(?:parse|bind) /.test(message)) return
  const list = PARAMETERS.exec(detail)?.groups?.['list']
  const sample = list === undefined ? undefined : parametersOf(list)
  yield { text, calls: 1, meanMs: Number(ms), samples: sample === undefined ? [] : [sample] }
}

function parametersOf(list: string): (string | null)[] {
  return [...list.matchAll(PARAMETER)].map(({ groups }) => {
    return groups?.['value']?.replaceAll("''", "'") ?? null
  })
}

function objectOf(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    return JSON.parse(line) as Record<string, unknown>
  } catch {
    // The last line of a log that is being written is not whole.
    return undefined
  }
}

/** Fields may hold line ends and doubled quotes. */
function* csvRows(csv: string): Generator<string[]> {
  let row: string[] = []
  for (const [, quoted, plain, end] of csv.matchAll(
    /(?:"((?:[^"]|"")*)"|([^,\r\n"]*))(,|\r?\n|$)/g,
  )) {
    row.push(quoted?.replaceAll('""', '"') ?? plain ?? '')
    if (end === ',') continue
    if (row.length > 1) yield row
    row = []
  }
}
