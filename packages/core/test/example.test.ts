import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const path = fileURLToPath(new URL('../../../examples/core-service/main.ts', import.meta.url))

test('the example service prints the output that its source shows, and exits with 0', async () => {
  const [, commented = ''] = (await readFile(path, 'utf8')).split('// Output:\n')
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--conditions=@dharma/source',
    path,
  ])
  expect(stdout).toBe(commented.replaceAll(/^\/\/ /gm, ''))
  expect(stdout).not.toBe('')
}, 20_000)

test('a service needs ten lines for config, metrics, health and shutdown', async () => {
  const [, region = ''] = (await readFile(path, 'utf8')).split(/\/\/ #(?:end)?region.*\n/)
  expect(region.trim().split('\n').length).toBeLessThanOrEqual(10)
})
