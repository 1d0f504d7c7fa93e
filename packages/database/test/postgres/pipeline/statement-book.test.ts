import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { StatementBook } from '../../../src/postgres/pipeline/statement-book.ts'

function observed(book: StatementBook, text: string, times: readonly number[]): boolean {
  const record = book.of(text)
  for (const ms of times) record.observe(ms)
  return record.isFast
}

describe('StatementBook', () => {
  it('trusts a statement after three short answers', () => {
    const book = new StatementBook(10)
    expect(observed(book, 'select 1', [1, 1])).toBe(false)
    expect(observed(book, 'select 1', [1])).toBe(true)
  })

  it('judges the first answers by the quickest, since the first ones are slow to start', () => {
    expect(observed(new StatementBook(10), 'select 1', [40, 15, 0.5])).toBe(true)
  })

  it('never trusts what needs a session of its own', () => {
    expect(observed(new StatementBook(10), 'set a = b', [1, 1, 1, 1])).toBe(false)
  })

  it('stops trusting a statement that became slow, and trusts it again in time', () => {
    const book = new StatementBook(10)
    expect(observed(book, 'select 1', [1, 1, 1, 100])).toBe(true)
    expect(observed(book, 'select 1', [100, 100])).toBe(false)
    expect(
      observed(
        book,
        'select 1',
        Array.from({ length: 30 }, () => 1),
      ),
    ).toBe(true)
  })

  it('stops trusting at once a statement that held up others', () => {
    const book = new StatementBook(10)
    expect(observed(book, 'select 1', [0, 0, 0])).toBe(true)
    book.of('select 1').overstayed(10)
    expect(observed(book, 'select 1', [0])).toBe(false)
  })

  it('allows for the way to a server far away', () => {
    const book = new StatementBook(10)
    for (let answer = 0; answer < 5; answer++) book.floor.observe(30)
    expect(observed(book, 'select 1', [31, 31, 31])).toBe(true)
    expect(observed(book, 'select 2', [40, 40, 40])).toBe(false)
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
