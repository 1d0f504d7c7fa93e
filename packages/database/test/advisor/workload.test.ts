import {
  IndexAdvisor,
  Workload,
  repeatedQueriesOf,
  workloadOfBaseline,
  workloadOfCsvLog,
  workloadOfJsonLog,
  workloadOfSqlFile,
  workloadOfTracker,
} from '@dharma/database/advisor'
import { QueryPerformanceTracker } from '@dharma/database/performance'
import { describe, expect, it } from 'vitest'

describe('a workload', () => {
  it('adds up records of equal texts and weighs their means', async () => {
    const { entries } = await Workload.from([
      { text: 'select a from t where b = $1', calls: 1, meanMs: 10, samples: [[1]] },
      { text: 'select a from t where b = $1', calls: 3, meanMs: 2, samples: [[2]] },
    ])
    expect(entries).toMatchObject([{ calls: 4, meanMs: 4, samples: [[1], [2]] }])
  })

  it('keeps texts with other constants apart, up to eight, and hides the constants', async () => {
    const records = Array.from({ length: 12 }, (_, id) => ({
      text: `select a from t where b = ${id}`,
    }))
    const { entries } = await Workload.from(records)
    expect(entries).toHaveLength(8)
    expect(entries.reduce((sum, { calls }) => sum + calls, 0)).toBe(12)
    expect(new Set(entries.map(({ statement }) => statement))).toEqual(
      new Set(['select a from t where b = $1']),
    )
  })

  it('leaves out what is no query and counts what nobody can read', async () => {
    const workload = await Workload.from([
      { text: 'begin' },
      { text: 'selec 1' },
      { text: 'select 1' },
    ])
    expect(workload.entries.map(({ text }) => text)).toEqual(['select 1'])
    expect(workload.unreadable).toBe(1)
  })

  it('takes the mean that is known where the other is not', async () => {
    const text = 'select a from t'
    const { entries } = await Workload.from([{ text }, { text, meanMs: 3 }])
    expect(entries).toMatchObject([{ calls: 2, meanMs: 3 }])
  })
})

describe('an SQL file', () => {
  it('is parted by semicolons outside of strings, comments and bodies', () => {
    const sql = `
      -- a comment; with one
      -- calls: 1200
      select ';' from t; select $$ ; $$, "a;b" /* ; */;
      -- mean_ms: 3.5
      select E'\\';'`
    expect([...workloadOfSqlFile(sql)]).toEqual([
      { text: `select ';' from t`, calls: 1200, meanMs: undefined },
      { text: 'select $$ ; $$, "a;b" /* ; */', calls: 1, meanMs: undefined },
      { text: `select E'\\';'`, calls: 1, meanMs: 3.5 },
    ])
  })
})

describe('a log of the server', () => {
  const message = 'duration: 12.5 ms  execute <unnamed>: select a from t where b = $1 and c = $2'
  const detail = "parameters: $1 = 'it''s', $2 = NULL"
  const record = {
    text: 'select a from t where b = $1 and c = $2',
    calls: 1,
    meanMs: 12.5,
    samples: [["it's", null]],
  }

  it('gives statements with their parameters from CSV', () => {
    const row = (text: string, more: string): string => {
      return `2026-01-01,u,d,1,h,s,1,SELECT,t,v,0,LOG,00000,"${text}","${more}",,,,,,,,,\n`
    }
    const csv =
      row(message, detail) +
      row('duration: 1 ms  parse <unnamed>: select 1', '') +
      row('a message, "" quoted', '') +
      row('duration: 2 ms  statement: select\n1', '')
    expect([...workloadOfCsvLog(csv)]).toEqual([
      record,
      { text: 'select\n1', calls: 1, meanMs: 2, samples: [] },
    ])
  })

  it('gives the same from JSON, and passes over broken lines', () => {
    const log = `${JSON.stringify({ message, detail })}\n{"message":\nplain\n{"pid":1}\n${JSON.stringify({ message: 'duration: 1 ms  statement: select 1' })}`
    expect([...workloadOfJsonLog(log)]).toEqual([
      record,
      { text: 'select 1', calls: 1, meanMs: 1, samples: [] },
    ])
  })
})

describe('a tracker', () => {
  it('gives what it has counted of PostgreSQL only', () => {
    const tracker = new QueryPerformanceTracker()
    tracker.recordMongo('find', 'posts', { a: 1 }, { elapsedMs: 5 })
    expect(workloadOfTracker(tracker)).toEqual([])
    const query = { fingerprint: 'f', statement: 'select $1', count: 2, meanMs: 3 }
    const baseline = {
      ...tracker.baseline(),
      queries: [{ ...query, p50Ms: 1, p95Ms: 1, planHash: undefined }],
    }
    expect(workloadOfBaseline(baseline)).toEqual([{ text: 'select $1', calls: 2, meanMs: 3 }])
  })

  it('has its repeated queries turned into one for all keys', async () => {
    const repeated = [
      { fingerprint: 'f', statement: 'select * from t where id = $1', count: 10 },
      { fingerprint: 'f', statement: 'select * from t where id = $1', count: 5 },
      { fingerprint: 'g', statement: 'select 1 from t', count: 5 },
    ]
    expect(await repeatedQueriesOf({ repeated })).toMatchObject([
      { code: 'repeated-query', after: 'select * from t where id = any($1)', calls: 15 },
    ])
  })
})

describe('options of the advisor', () => {
  it.each([
    { maxCopyRows: 1 },
    { maxSizeBytes: 0 },
    { maxIndexes: 0 },
    { maxStatements: 0 },
    { workloadSeconds: 0 },
    { minUnusedSeconds: -1 },
  ])('%j is refused by name and value', (options) => {
    const session = { query: () => Promise.resolve({ rows: [] }) }
    const [[name, value] = []] = Object.entries(options)
    expect(() => new IndexAdvisor(session, options)).toThrow(new RegExp(`${name} .* got ${value}`))
  })
})
