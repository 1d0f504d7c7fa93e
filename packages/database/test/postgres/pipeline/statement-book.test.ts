import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { StatementBook } from '../../../src/postgres/pipeline/statement-book.ts'

/** What a statement is held for after these times on sessions of its own. */
function alone(book: StatementBook, text: string, times: readonly number[]): boolean {
  const record = book.of(text)
  for (const ms of times) record.observeAlone(ms)
  return record.isFast
}

/** What it is held for after these times on a shared connection. */
function shared(book: StatementBook, text: string, times: readonly number[]): boolean {
  const record = book.of(text)
  for (const ms of times) record.observe(ms)
  return record.isFast
}

function repeated(count: number, ms: number): number[] {
  return Array.from({ length: count }, () => ms)
}

describe('StatementBook', () => {
  it('trusts a statement after three answers, the shortest of which counts', () => {
    const book = new StatementBook(10)
    expect(alone(book, 'select 1', [40, 0.5])).toBe(false)
    expect(alone(book, 'select 1', [15])).toBe(true)
    expect(book.of('select 1').meanMs).toBe(0.5)
  })

  it('trusts a short statement also while the machine makes most answers long', () => {
    const book = new StatementBook(10)
    book.floor.observe(0.2)
    expect(alone(book, 'select 1', [9, 7, 12, 30, 8, 6])).toBe(false)
    expect(alone(book, 'select 1', [9, 1.8, 12])).toBe(true)
  })

  it('never trusts what needs a session of its own', () => {
    expect(alone(new StatementBook(10), 'set a = b', [1, 1, 1, 1])).toBe(false)
  })

  it('does not mind a few long answers on a shared connection, and stops trusting after more', () => {
    const book = new StatementBook(10)
    expect(alone(book, 'select 1', [0, 0, 0])).toBe(true)
    expect(shared(book, 'select 1', [100])).toBe(true)
    expect(shared(book, 'select 1', [100, 100])).toBe(false)
  })

  it('tries a statement twice as long each time that it held up others', () => {
    const book = new StatementBook(10)
    const record = book.of('select 1')
    for (let strike = 0; strike < 12; strike++) {
      const trial = 3 * 2 ** Math.min(8, strike)
      expect(alone(book, 'select 1', repeated(trial - 1, 0))).toBe(false)
      expect(alone(book, 'select 1', [0])).toBe(true)
      record.overstayed(10)
      expect(record.isFast).toBe(false)
    }
  })

  it('forgets a strike after many short answers', () => {
    const book = new StatementBook(10)
    expect(alone(book, 'select 1', [0, 0, 0])).toBe(true)
    book.of('select 1').overstayed(10)
    expect(alone(book, 'select 1', repeated(6, 0))).toBe(true)
    shared(book, 'select 1', repeated(256, 0))
    book.of('select 1').overstayed(10)
    expect(alone(book, 'select 1', repeated(6, 0))).toBe(true)
  })

  it('holds nothing against a statement whose connection was frozen', () => {
    const book = new StatementBook(10)
    expect(alone(book, 'select 1', [1, 1, 1])).toBe(true)
    book.of('select 1').overstayed(100)
    book.of('select 1').acquit()
    expect(shared(book, 'select 1', [0])).toBe(true)
    book.of('select 1').overstayed(10)
    expect(alone(book, 'select 1', repeated(6, 0))).toBe(true)
  })

  it('allows for the way to a server far away', () => {
    const book = new StatementBook(10)
    for (let answer = 0; answer < 5; answer++) book.floor.observe(30)
    expect(alone(book, 'select 1', [31, 31, 31])).toBe(true)
    expect(alone(book, 'select 2', [40, 40, 40])).toBe(false)
  })

  it('follows the way to the server when it becomes longer', () => {
    const book = new StatementBook(10)
    book.floor.observe(1)
    for (let answer = 0; answer < 5_000; answer++) book.floor.observe(20)
    expect(book.floor.ms).toBeGreaterThan(19)
  })

  it('keeps the records in use and never more than its limit', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 300 }), (uses) => {
        const book = new StatementBook(8)
        const latest = new Map<string, unknown>()
        for (const [index, use] of uses.entries()) {
          const text = `select ${use}`
          const record = book.of(text)
          // What was among the last four texts used is never forgotten.
          const recent = new Set(uses.slice(0, index).toReversed().slice(0, 4))
          expect(!recent.has(use) || record === latest.get(text)).toBe(true)
          latest.set(text, record)
          expect(book.size).toBeLessThanOrEqual(8)
        }
      }),
    )
  })
})
