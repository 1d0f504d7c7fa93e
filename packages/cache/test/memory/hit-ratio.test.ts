import { describe, expect, it } from 'vitest'
import { hitRatio, REPLACEMENTS } from './replacement/replacement-policies.ts'
import { ROOMS, trace, TRACES, zipf, zipfWithScans } from './replacement/workloads.ts'

/** Policies that ours must be near or above on every real trace. */
const OTHERS = ['LRU', 'SIEVE', 'S3-FIFO']
/** Reads of each made-up workload. */
const READS = 300_000
/** Of millions of reads each, which take minutes; the benchmark looks at them. */
const LONG_TRACES = new Set(['orm-night', 'scarab-recs'])

/** Hit ratios by policy, in percent; ours is `dharma`. */
function ratios(
  keys: Iterable<number>,
  room: number,
  names: readonly string[] = Object.keys(REPLACEMENTS),
): Readonly<Record<string, number>> {
  return Object.fromEntries(
    names.map((name) => {
      const make = REPLACEMENTS[name]
      if (make === undefined) throw new RangeError(`no policy '${name}'`)
      return [name, 100 * hitRatio(make(room), keys)]
    }),
  )
}

/** How far ours is above another, or above the best of the others, in points. */
function lead(all: Readonly<Record<string, number>>, over?: string): number {
  const { dharma = 0, ...others } = all
  return dharma - (over === undefined ? Math.max(...Object.values(others)) : (others[over] ?? 0))
}

describe('hit ratio', { timeout: 60_000 }, () => {
  it('is at least eight points above LRU on Zipf 0.99 with room for 1 % of the keys', () => {
    expect(lead(ratios(zipf(READS, 50_000, 0.99), 500, ['dharma', 'LRU']), 'LRU')).toBeGreaterThan(
      8,
    )
  })

  it.each([
    [5_000, 500],
    [5_000, 2_500],
    [5_000, 5_000],
    [20_000, 500],
    [20_000, 2_500],
    [20_000, 5_000],
  ])(
    'is not more than a point below LRU where popularity shifts every %i reads, with room for %i',
    (shiftEvery, room) => {
      const all = ratios(zipf(READS, 50_000, 0.99, shiftEvery), room, ['dharma', 'LRU'])
      expect(lead(all, 'LRU')).toBeGreaterThan(-1)
    },
  )

  it('is not hurt by scans over keys that nobody reads again', () => {
    const all = ratios(zipfWithScans(READS, 50_000, 0.3), 500)
    expect(lead(all, 'LRU')).toBeGreaterThan(7)
    expect(lead(all)).toBeGreaterThan(-1)
  })

  it('is above zero in a loop over more keys than there is room for', () => {
    const loop = Array.from({ length: 50_000 }, (_, index) => index % 1_000)
    const all = ratios(loop, 300)
    expect(all['LRU']).toBe(0)
    expect(lead(all, 'LRU')).toBeGreaterThan(20)
  })

  if (TRACES.length === 0) {
    process.stderr.write('\n!!! NO ACCESS TRACES: HIT RATIOS ARE TESTED ON ZIPF ONLY !!!\n\n')
  }

  it.each(TRACES.filter((name) => !LONG_TRACES.has(name)))(
    'is near or above LRU, SIEVE and S3-FIFO as published on trace %s',
    async (name) => {
      const { keys, distinct } = await trace(name)
      for (const share of ROOMS) {
        const room = Math.max(1, Math.round(distinct * share))
        const found = ratios(keys, room, ['dharma', ...OTHERS])
        for (const other of OTHERS) expect(lead(found, other)).toBeGreaterThan(-1)
      }
    },
    60_000,
  )
})
