import type { WorkloadRecord } from './workload.ts'

const CALLS = /--[^\n]*?\bcalls:\s*(?<calls>\d+)/
const MEAN = /--[^\n]*?\bmean_ms:\s*(?<mean>\d+(?:\.\d+)?)/
/** What a semicolon may stand in without ending a statement. */
const PART =
  /--[^\n]*|\/\*[\s\S]*?\*\/|[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|(?<tag>\$(?:[A-Za-z_]\w*)?\$)[\s\S]*?\k<tag>|;|[^;'"$/eE-]+|[\s\S]/gy

/**
 * The statements of an SQL file, parted by semicolons. A comment before or in a statement may say
 * `-- calls: 1200` and `-- mean_ms: 3.5`.
 */
export function* workloadOfSqlFile(sql: string): Generator<WorkloadRecord> {
  let text = ''
  for (const [part] of sql.matchAll(PART)) {
    if (part !== ';') {
      text += part
      continue
    }
    yield* recordOf(text)
    text = ''
  }
  yield* recordOf(text)
}

function* recordOf(written: string): Generator<WorkloadRecord> {
  const text = written
    .trim()
    .replace(/^(?:\s*--[^\n]*(?:\n|$))+/, '')
    .trim()
  if (text === '') return
  const calls = CALLS.exec(written)?.groups?.['calls']
  const mean = MEAN.exec(written)?.groups?.['mean']
  yield {
    text,
    calls: calls === undefined ? 1 : Number(calls),
    meanMs: mean === undefined ? undefined : Number(mean),
  }
}
