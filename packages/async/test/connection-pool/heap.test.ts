import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const PROGRAM = fileURLToPath(new URL('./programs/million-leases.ts', import.meta.url))

it('a million leases leave the heap as it was', { timeout: 60_000 }, async () => {
  const flags = ['--expose-gc', '--conditions=@dharma/source', PROGRAM]
  const { stdout } = await promisify(execFile)(process.execPath, flags)
  const { acquired, grownBytes, hasGc } = JSON.parse(stdout) as {
    acquired: number
    grownBytes: number
    hasGc: boolean
  }
  expect(hasGc).toBe(true)
  expect(acquired).toBeGreaterThanOrEqual(1_000_000)
  expect(grownBytes).toBeLessThan(1_000_000)
})
