import { jsonCodec, ValueEncodingError, v8Codec, type Cache } from '@dharma/cache'
import { definePolicy } from '@dharma/cache/policies'
import { uniqueName } from '@dharma/testkit'
import { describeWithRedis } from '@dharma/testkit/vitest'
import { expect, inject, it } from 'vitest'
import { eventually, openCaches } from './shared-cache.ts'

const open = (count: number, options: object = {}): Promise<Cache[]> =>
  openCaches(count, { namespace: uniqueName('cache'), redis: inject('redisUrl'), ...options })

async function two(options?: object): Promise<[Cache, Cache]> {
  const [one, other] = await open(2, options)
  return [one as Cache, other as Cache]
}

describeWithRedis('values over processes', () => {
  it('reads, loads and writes many keys', async () => {
    const [one, other] = await two()
    await one.setMany([
      ['a', 1],
      ['b', 2],
    ])
    const calls: string[][] = []
    const values = await other.getOrLoadMany(['a', 'b', 'c', 'd'], (keys) => {
      calls.push([...keys])
      return Promise.resolve(new Map(keys.map((key) => [key, key.length])))
    })
    expect(Object.fromEntries(values)).toEqual({ a: 1, b: 2, c: 1, d: 1 })
    expect(calls.flat().toSorted()).toEqual(['c', 'd'])
    expect(calls.length).toBe(1)
    expect((await one.getMany(['a', 'b', 'c', 'd', 'e'])).size).toBe(4)
    await one.deleteMany(['a', 'b'])
    expect(await one.getMany(['a', 'b', 'c'])).toEqual(new Map([['c', 1]]))
  })

  it.each([
    ['2 MB', 'x'.repeat(2_000_000)],
    ['bytes', Buffer.from([0, 1, 255])],
    ['null', null],
    ['undefined', undefined],
    ['empty', ''],
  ])('carries %s', async (_, value) => {
    const [one, other] = await two()
    await one.set('k', value)
    expect(await other.get('k')).toEqual(value)
  })

  it.each(['ключ', '🔑', '{a}', '}', '%}', 'a b\r\nc', '\uD800', 'k'.repeat(2_000), '#x'])(
    'takes the key %j',
    async (key) => {
      const [one, other] = await two()
      await one.set(key, key)
      expect(await other.get(key)).toBe(key)
      await one.delete(key)
      await eventually(() => other.peek(key) === undefined)
      expect(await other.get(key)).toBeUndefined()
    },
  )

  it('says that a value cannot be encoded, and leaves the cache unharmed', async () => {
    const [one] = await two()
    await one.set('k', 'old')
    await expect(one.set('k', { big: 1n })).rejects.toThrow(ValueEncodingError)
    await expect(one.getOrLoad('big', () => 1n)).rejects.toThrow(ValueEncodingError)
    expect(await one.get('k')).toBe('old')
    await expect(one.getOrLoad('big', () => 'fine')).resolves.toBe('fine')
  })

  it('counts an entry that it cannot read as a miss', async () => {
    const namespace = uniqueName('cache')
    const own = { id: 77, name: 'own', encode: v8Codec.encode, decode: v8Codec.decode }
    const [writer] = await open(1, { namespace, codec: own })
    const errors: unknown[] = []
    const [reader] = await open(1, {
      namespace,
      codec: jsonCodec,
      onError: (error: unknown) => errors.push(error),
    })
    await writer?.set('k', 1)
    expect(await reader?.get('k')).toBeUndefined()
    expect(String(errors[0])).toContain('codec 77')
    expect(await reader?.getOrLoad('k', () => 2)).toBe(2)
  })

  it('a policy types, checks and tags its entries, and a value of another shape counts as a miss', async () => {
    const namespace = uniqueName('cache')
    const [one, other] = await two({ namespace, policies: { user: { ttlMs: 1_000 } } })
    const isUser = (value: unknown): value is { name: string } =>
      typeof (value as { name?: unknown }).name === 'string'
    const users = definePolicy<{ name: string }>()({
      name: 'user',
      key: (id: string) => id,
      tags: (id) => [`user:${id}`],
      schema: {
        safeParse: (value) =>
          isUser(value) ? { success: true, data: value } : { success: false, error: 'no name' },
      },
    })
    const mine = one.for(users)
    const theirs = other.for(users)
    expect(mine.keyOf('a:*')).toBe('user:a%3A%2A')
    expect(await mine.getOrLoad('1', (id) => ({ name: `n${id}` }))).toEqual({ name: 'n1' })
    expect(await theirs.get('1')).toEqual({ name: 'n1' })
    expect(await theirs.getMany(['1', '2'])).toEqual(new Map([['1', { name: 'n1' }]]))
    await expect(mine.set('2', { nome: 'x' } as never)).rejects.toThrow("schema of policy 'user'")
    await one.set(mine.keyOf('3'), { nome: 'x' })
    expect(await theirs.get('3')).toBeUndefined()
    expect(await theirs.getOrLoad('3', () => ({ name: 'loaded' }))).toEqual({ name: 'loaded' })
    await one.invalidateTags(['user:1'])
    expect(await mine.get('1')).toBeUndefined()
    await mine.set('4', { name: 'x' })
    await mine.clear()
    expect(await mine.get('4')).toBeUndefined()
  })

  it('keeps namespaces apart', async () => {
    const [one] = await open(1)
    const [other] = await open(1)
    await one?.set('k', 1)
    await other?.clear()
    expect([await one?.get('k'), await other?.get('k')]).toEqual([1, undefined])
  })
})
