import { describe, expect, it } from 'vitest'
import { StatementNames } from '../../src/postgres/statement-names.ts'

describe('StatementNames', () => {
  it('names a statement from its second use on', () => {
    const names = new StatementNames(10)
    expect(names.use('a').name).toBeUndefined()
    const { name } = names.use('a')
    expect(name).toBeDefined()
    expect(names.use('a').name).toBe(name)
  })

  it('evicts the statement that was used longest ago', () => {
    const names = new StatementNames(2)
    const [a, b] = ['a', 'b'].map((text) => [names.use(text), names.use(text)][1]?.name)
    names.use('a')
    names.use('c')
    const third = names.use('c')
    expect(third.evicted).toBe(b)
    expect(names.use('a').name).toBe(a)
  })

  it('never uses a name twice', () => {
    const names = new StatementNames(1)
    const made = new Set<string>()
    for (let index = 0; index < 20; index++) {
      const text = `s${index}`
      names.use(text)
      made.add(names.use(text).name ?? '')
    }
    expect(made.size).toBe(20)
  })

  it('remembers a bounded number of statements seen once', () => {
    const names = new StatementNames(1)
    names.use('first')
    for (let index = 0; index < 4; index++) names.use(`other ${index}`)
    expect(names.use('first').name).toBeUndefined()
  })

  it('names nothing when it may keep nothing', () => {
    const names = new StatementNames(0)
    names.use('a')
    expect(names.use('a').name).toBeUndefined()
  })

  it('prepares a forgotten statement anew', () => {
    const names = new StatementNames(2)
    names.use('a')
    const { name } = names.use('a')
    expect(names.forget('a')).toBe(name)
    names.use('a')
    expect(names.use('a').name).not.toBe(name)
  })
})
