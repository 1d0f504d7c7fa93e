import { describe, expect, it } from 'vitest'
import type { LoadContext, Loader } from '../src/entry-options.ts'
import type { EntryStore } from '../src/entry-store.ts'
import { Fences } from '../src/fences.ts'
import { ManyLoads } from '../src/many-loads.ts'

type LoadOne = (key: string, loader: Loader<unknown>, onWait: () => void) => Promise<unknown>

/** What a loader is given of which it takes only the signal. */
const CONTEXT = { signal: new AbortController().signal } as LoadContext

/** Loads keys whose turn comes as `loadOne` says, and tells which calls were made. */
function load(keys: readonly string[], loadOne: LoadOne) {
  const calls: string[][] = []
  const many = new ManyLoads({
    shared: undefined,
    isUsable: () => false,
    hasMemory: false,
    fences: new Fences(),
    store: undefined as unknown as EntryStore,
    onError: () => undefined,
  })
  const loadMany = (missing: readonly string[]): Promise<Map<string, string>> => {
    calls.push([...missing])
    if (missing.includes('bad')) return Promise.reject(new Error('no'))
    return Promise.resolve(new Map(missing.map((key) => [key, `${key}!`])))
  }
  return { calls, values: many.load(keys, loadMany, loadOne) }
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

describe('loads of many keys', () => {
  it('are one call, however far apart Redis grants them', async () => {
    const keys = ['a', 'b', 'c', 'd']
    const { calls, values } = load(keys, async (key, loader) => {
      await turns(keys.indexOf(key) * 5)
      return loader(CONTEXT)
    })
    expect(Object.fromEntries(await values)).toEqual({ a: 'a!', b: 'b!', c: 'c!', d: 'd!' })
    expect(calls).toEqual([keys])
  })

  it('do not wait for a key that another loads, which is loaded on its own if it comes back', async () => {
    const back = Promise.withResolvers<void>()
    const { calls, values } = load(['a', 'b', 'c', 'd'], async (key, loader, onWait) => {
      if (key < 'c') return loader(CONTEXT)
      onWait()
      await back.promise
      return loader(CONTEXT)
    })
    await turns(3)
    expect(calls).toEqual([['a', 'b']])
    back.resolve()
    expect((await values).size).toBe(4)
    expect(calls).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ])
  })

  it('leave out what turns out to be there', async () => {
    const { calls, values } = load(['a', 'b'], async (key, loader) => {
      if (key === 'a') return loader(CONTEXT)
      await turns(5)
      return 'found'
    })
    expect(Object.fromEntries(await values)).toEqual({ a: 'a!', b: 'found' })
    expect(calls).toEqual([['a']])
  })

  it('go on without a key that failed before its turn, and fail with their call', async () => {
    const failed = load(['a', 'b'], async (key, loader) => {
      if (key === 'a') return loader(CONTEXT)
      await turns(2)
      throw new Error('closed')
    })
    await expect(failed.values).rejects.toThrow('closed')
    await turns(2)
    expect(failed.calls).toEqual([['a']])
    const together = load(['a', 'bad'], async (_, loader) => loader(CONTEXT))
    await expect(together.values).rejects.toThrow('no')
    expect(together.calls).toEqual([['a', 'bad']])
  })
})
