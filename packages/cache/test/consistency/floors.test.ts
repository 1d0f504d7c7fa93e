import { describe, expect, it } from 'vitest'
import { Floors } from './floors.ts'

const floor = (version: number, fromMs: number) => ({
  key: 'a',
  version,
  fromMs,
  by: 0,
  cause: 'delete',
})

describe('floors of versions', () => {
  it('are not there before anything was ruled out', () => {
    expect(new Floors().at('a', 1)).toBeUndefined()
  })

  it('hold from their time on, and not before', () => {
    const floors = new Floors()
    floors.add(floor(3, 100))
    expect(floors.at('a', 99)).toBeUndefined()
    expect(floors.at('a', 100)).toEqual(floor(3, 100))
    expect(floors.at('b', 100)).toBeUndefined()
  })

  it('never sink, whatever the order in which they are heard of', () => {
    const floors = new Floors()
    floors.add(floor(5, 300))
    floors.add(floor(4, 100))
    floors.add(floor(2, 400))
    expect(floors.at('a', 200)?.version).toBe(4)
    expect(floors.at('a', 300)?.version).toBe(5)
    floors.add(floor(3, 350))
    expect(floors.at('a', 500)?.version).toBe(5)
  })
})
