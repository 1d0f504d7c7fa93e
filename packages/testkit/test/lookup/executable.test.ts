import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { findOnMachine, probeExecutable, versionedFolders } from '../../src/lookup/executable.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'testkit-executable-'))
  vi.stubEnv('PATH', folder)
})

afterEach(async () => {
  await rm(folder, { recursive: true })
})

async function program(path: string, body: string): Promise<string> {
  const file = join(folder, path)
  await mkdir(join(file, '..'), { recursive: true })
  await writeFile(file, `#!/bin/sh\n${body}\n`)
  await chmod(file, 0o755)
  return file
}

describe('a program that is looked for', () => {
  it.each([
    ['Redis server v=7.0.15 sha=00000000:0', '7.0.15'],
    ['postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)', '15.18'],
    ['db version v6.0.5', '6.0.5'],
    ['postgres (PostgreSQL) 18', '18'],
  ])('tells its version: %s', async (output, version) => {
    const path = await program('server', `echo '${output}'`)
    const env = { SOME: 'thing' }
    expect(await probeExecutable('package', path, env)).toEqual({
      found: { origin: 'package', path, env, version },
    })
  })

  it('is refused with its own words where it does not run', async () => {
    const path = await program('server', 'echo "libssl.so.1.1 is missing" >&2; exit 127')
    expect(await probeExecutable('binary', path)).toEqual({
      refusal: `${path} does not run: libssl.so.1.1 is missing`,
    })
  })

  it('is refused where it names no version', async () => {
    const path = await program('server', 'echo hello')
    expect(await probeExecutable('binary', path)).toEqual({
      refusal: `${path} --version names no version`,
    })
  })

  it('is found by its first name that runs, in PATH or an extra folder', async () => {
    await program('first', 'exit 1')
    const path = await program('extra/second', 'echo v=2.1')
    const finding = await findOnMachine(['first', 'second'], [join(folder, 'extra')])
    expect(finding).toMatchObject({ found: { origin: 'binary', path, version: '2.1' } })
  })

  it('is refused as not found where no folder has it', async () => {
    expect(await findOnMachine(['nothing'], [])).toEqual({ refusal: 'not found' })
  })

  it('is refused with the reason of each place where none runs', async () => {
    const path = await program('server', 'echo broken >&2; exit 1')
    expect(await findOnMachine(['server'], [])).toEqual({
      refusal: `${path} does not run: broken`,
    })
  })

  it('is looked for in the highest version first', async () => {
    for (const version of ['9', '15', '18']) await mkdir(join(folder, version))
    expect(await versionedFolders(folder, 'bin')).toEqual(
      ['18', '15', '9'].map((version) => join(folder, version, 'bin')),
    )
    expect(await versionedFolders(join(folder, 'none'), 'bin')).toEqual([])
  })
})
