import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { gunzipSync } from 'node:zlib'

const FOLDER = new URL('../../../../../../shared/data/traces/', import.meta.url)

/** Real traces: the reads of a service, one dense key each. Empty where they are not at hand. */
export const TRACES: readonly string[] = existsSync(FOLDER)
  ? ['web07', 'scarab-recs', 'orm-night', 'sprite', 'multi2', 'loop']
  : []

/** Shares of a trace's keys that there is room for. */
export const ROOMS: readonly number[] = [0.01, 0.1, 0.3]

export async function trace(name: string): Promise<{ keys: Uint32Array; distinct: number }> {
  const bytes = gunzipSync(await readFile(new URL(`${name}.trace.gz`, FOLDER)))
  const keys = Uint32Array.from(bytes.toString('latin1').trim().split('\n'), Number)
  return { keys, distinct: new Set(keys).size }
}

/** Zipf-distributed keys with a fixed seed; `shiftEvery` reads, other keys become popular. */
export function zipf(
  count: number,
  keys: number,
  skew: number,
  shiftEvery: number = Number.POSITIVE_INFINITY,
): number[] {
  const cumulative: number[] = []
  let sum = 0
  for (let rank = 1; rank <= keys; rank++) cumulative.push((sum += rank ** -skew))
  let seed = 42
  return Array.from({ length: count }, (_, index) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    const wanted = (seed / 2 ** 32) * sum
    let low = 0
    let high = keys - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if ((cumulative[middle] ?? 0) < wanted) low = middle + 1
      else high = middle
    }
    return (low + Math.floor(index / shiftEvery) * 1_000) % keys
  })
}

/** Zipf reads with a scan over keys that nobody reads again, `share` of all reads. */
export function zipfWithScans(count: number, keys: number, share: number): number[] {
  const reads: number[] = []
  const wanted = zipf(count, keys, 0.99)
  const scanLength = 2_000
  for (let index = 0; index < wanted.length; index++) {
    reads.push(wanted[index] as number)
    if (index % Math.round(scanLength / share) !== 0) continue
    for (let scanned = 0; scanned < scanLength; scanned++) reads.push(keys + reads.length)
  }
  return reads
}
