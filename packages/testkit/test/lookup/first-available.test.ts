import { ServerUnavailableError } from '@dharma/testkit'
import { describe, expect, it } from 'vitest'
import { firstAvailable, type Way } from '../../src/lookup/first-available.ts'

function way(what: string, find: Way<string>['find']): Way<string> {
  return { origin: 'binary', what, find }
}

describe('the search for a server', () => {
  it('takes the first way that finds something and asks no further', async () => {
    const asked: string[] = []
    const ways = ['a', 'b', 'c'].map((what) =>
      way(what, async () => {
        asked.push(what)
        return what === 'b' ? { found: what } : { refusal: 'no' }
      }),
    )
    expect(await firstAvailable('redis', ways, '')).toBe('b')
    expect(asked).toEqual(['a', 'b'])
  })

  it('goes on after a way that throws', async () => {
    const ways = [
      way('a', () => Promise.reject(new Error('broken'))),
      way('b', async () => ({ found: 'b' })),
    ]
    expect(await firstAvailable('redis', ways, '')).toBe('b')
  })

  it('says all that was tried and what to do when nothing is found', async () => {
    const cause = new Error('the disk is full')
    const ways = [
      way('redis-server', async () => ({ refusal: 'not found' })),
      way('a download', () => Promise.reject(cause)),
    ]
    const error = await firstAvailable('redis', ways, 'Install Redis.').catch((thrown) => thrown)
    expect(error).toBeInstanceOf(ServerUnavailableError)
    expect(error).toMatchObject({
      code: 'DHARMA_TESTKIT_SERVER_UNAVAILABLE',
      kind: 'redis',
      advice: 'Install Redis.',
      cause,
      tried: [
        { origin: 'binary', what: 'redis-server', refusal: 'not found' },
        { origin: 'binary', what: 'a download', refusal: 'the disk is full' },
      ],
    })
    expect(error.message).toBe(
      [
        'no redis server could be had. Tried:',
        '  - binary: redis-server: not found',
        '  - binary: a download: the disk is full',
        'Install Redis.',
      ].join('\n'),
    )
  })
})
