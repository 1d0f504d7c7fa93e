/** Takes and returns 1,000,000 leases, half of them contended; prints the growth of the heap in bytes. */
import { setImmediate } from 'node:timers/promises'
import { ConnectionPool } from '@dharma/async/connection-pool'

const LEASES_A_ROUND = 100_000
const ROUNDS = 10

const pool = new ConnectionPool({ create: () => ({}), destroy() {} }, { max: 10 })
const { signal } = new AbortController()

async function oneByOne(): Promise<void> {
  for (let done = 0; done < LEASES_A_ROUND / 2; done++) (await pool.acquire({ signal })).release()
}

async function contended(): Promise<void> {
  let left = LEASES_A_ROUND / 2
  const borrow = async (): Promise<void> => {
    while (left-- > 0) (await pool.acquire({ timeoutMs: 5_000 })).release()
  }
  await Promise.all(Array.from({ length: 64 }, borrow))
}

async function heapAfterGc(): Promise<number> {
  await setImmediate()
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

await oneByOne()
await contended()
const before = await heapAfterGc()
for (let round = 0; round < ROUNDS; round++) {
  await oneByOne()
  await contended()
}
const grownBytes = (await heapAfterGc()) - before
const { acquired } = pool.stats().totals
await pool.close()
console.log(JSON.stringify({ acquired, grownBytes, hasGc: globalThis.gc !== undefined }))
