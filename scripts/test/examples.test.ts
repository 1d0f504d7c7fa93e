import { execFile } from 'node:child_process'
import { glob, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const run = promisify(execFile)
const MARKER = '\n// Output:\n'

const sources = await Promise.all(
  (await Array.fromAsync(glob('examples/*/main.ts'))).toSorted().map(async (file) => {
    return { file, source: await readFile(file, 'utf8') }
  }),
)

describe('examples', () => {
  it.each(sources.filter(({ source }) => source.includes(MARKER)))(
    '$file prints what it says it prints',
    async ({ file, source }) => {
      const comments = source.slice(source.indexOf(MARKER) + MARKER.length).trimEnd()
      const expected = comments.split('\n').map((line) => line.replace(/^\/\/ ?/, ''))
      const { stdout } = await run(process.execPath, ['--conditions=@dharma/source', file])
      expect(stdout.trimEnd().split('\n')).toEqual(expected)
    },
    20_000,
  )
})
