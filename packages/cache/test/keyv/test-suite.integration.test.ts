import { createCache, type Cache } from '@dharma/cache'
import { Keyv5Store, KeyvStore } from '@dharma/cache/keyv'
import { uniqueName } from '@dharma/testkit'
import { describeWithRedis } from '@dharma/testkit/vitest'
import keyvTestSuite from '@keyv/test-suite'
import { Keyv } from 'keyv'
import { Keyv as Keyv5 } from 'keyv5'
import * as vitest from 'vitest'
import { afterAll, beforeAll, describe, inject } from 'vitest'

/** The suite was written for Keyv 5, and its types say so; what it calls, Keyv 6 has as well. */
type Suite = (
  test: typeof vitest,
  Constructor: unknown,
  store: () => { opts?: Record<string, unknown> },
) => void
const runSuite = keyvTestSuite as unknown as Suite

/** Keyv 6 with the one answer that the suite expects where 6 answers for each key. */
class KeyvOfOneAnswer extends Keyv {
  override delete(key: string): Promise<boolean>
  override delete(keys: string[]): Promise<boolean[]>
  override async delete(keys: string | string[]): Promise<never> {
    if (typeof keys === 'string') return (await super.delete(keys)) as never
    return (await super.delete(keys)).includes(true) as never
  }
}

describeWithRedis('the official test suite of Keyv', () => {
  let cache: Cache

  beforeAll(async () => {
    cache = createCache({ namespace: uniqueName('keyv'), redis: inject('redisUrl') })
    await cache.ready()
  })
  afterAll(() => cache.close())

  describe('on Keyv 6', () => {
    runSuite(vitest, KeyvOfOneAnswer, () => Object.assign(new KeyvStore(cache), { opts: {} }))
  })

  describe('on Keyv 5', () => {
    runSuite(vitest, Keyv5, () => new Keyv5Store(cache, { prefix: 'five' }))
  })
})
