import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { CacheStats } from '@dharma/cache'
import { startRedis, uniqueName } from '@dharma/testkit'
import { expect, it, onTestFinished } from 'vitest'

interface Outcome {
  readonly heaps: readonly number[]
  readonly uses: number
  readonly stats: readonly CacheStats[]
}

const ENTRY = fileURLToPath(new URL('heap-process.ts', import.meta.url))
const SOAK_MINUTES = Number(process.env['DHARMA_SOAK_MINUTES'] ?? 0)
const DURATION_MS = SOAK_MINUTES > 0 ? SOAK_MINUTES * 60_000 : 30_000
/** What collections leave differs by about this much from one to the next. */
const NOISE_BYTES = 3 * 2 ** 20

it(
  'the heap stays flat while ever new keys are used',
  { timeout: DURATION_MS + 60_000 },
  async () => {
    const redis = await startRedis({ dedicated: true })
    onTestFinished(() => redis.close())
    const parameters = [redis.url, uniqueName('heap'), String(DURATION_MS)]
    const child = fork(ENTRY, parameters, { execArgv: ['--conditions=@dharma/source'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    const [{ heaps, uses, stats }] = (await once(child, 'message')) as [Outcome]
    const third = Math.floor(heaps.length / 3)
    const [middle, last] = [median(heaps.slice(third, 2 * third)), median(heaps.slice(-third))]
    const megabytes = heaps.map((bytes) => (bytes / 2 ** 20).toFixed(1)).join(' ')
    process.stdout.write(`heap after collections, MB: ${megabytes} (${uses} uses)\n`)
    expect(last - middle).toBeLessThan(NOISE_BYTES + middle * 0.05)
    expect(uses).toBeGreaterThan(DURATION_MS / 100)
    for (const { loadsUnderWay, entries, pendingInvalidations } of stats) {
      expect(loadsUnderWay).toBe(0)
      expect(entries).toBeLessThanOrEqual(1_000)
      expect(pendingInvalidations).toBeLessThan(100)
    }
  },
)

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
