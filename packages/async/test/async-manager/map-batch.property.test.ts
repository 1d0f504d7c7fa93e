import fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkCollected, checkThrown, loads } from './map-load.ts'

const forms = fc.constantFrom('array' as const, 'stream' as const)

test('any load gives what a plain loop gives, never over its concurrency', async () => {
  const checked = fc.assert(fc.asyncProperty(loads, forms, checkCollected), { numRuns: 150 })
  await expect(checked).resolves.toBeUndefined()
})

test('any load that throws ends with one of its errors, or with all results', async () => {
  const checked = fc.assert(fc.asyncProperty(loads, forms, checkThrown), { numRuns: 150 })
  await expect(checked).resolves.toBeUndefined()
})
