import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, inject, it } from 'vitest'
import { descendantsOf, isAlive, signalTree } from '../../src/process/process-tree.ts'
import { until } from '../../src/process/until.ts'

const FIXTURE = fileURLToPath(new URL('../fixtures/start-and-wait.ts', import.meta.url))
const URLS = { redis: 'redisUrl', postgres: 'postgresUrl', mongo: 'mongoUrl' } as const
const SIGNALS = ['SIGKILL', 'SIGINT', 'SIGTERM'] as const
const CASES = (['redis', 'postgres', 'mongo'] as const).flatMap((kind) =>
  SIGNALS.map((signal) => ({ kind, signal, hangs: false })).concat([
    { kind, signal: 'SIGKILL', hangs: true },
  ]),
)

describe.for(CASES)('a $kind (hanging: $hangs)', ({ kind, signal, hangs }) => {
  it.skipIf(inject(URLS[kind]) === '')(
    `is gone with its children and its folder after the parent got ${signal}`,
    async () => {
      const folder = await mkdtemp(join(tmpdir(), 'testkit-parent-'))
      await chmod(folder, 0o755) // PostgreSQL runs as another user there when this process is root
      const parent = spawn(process.execPath, ['--conditions=@dharma/source', FIXTURE, kind], {
        env: { ...process.env, TMPDIR: folder },
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const [line] = (await once(parent.stdout, 'data')) as [Buffer]
      const { pid } = JSON.parse(line.toString()) as { readonly pid: number }
      const family = [pid, ...descendantsOf([pid])]
      expect(family.every(isAlive)).toBe(true)
      expect(await readdir(folder)).toHaveLength(1)
      if (hangs) signalTree(pid, 'SIGSTOP')

      parent.kill(signal)
      const isClean = async (): Promise<true | undefined> =>
        !family.some(isAlive) && (await readdir(folder)).length === 0 ? true : undefined
      expect(await until(isClean, { timeoutMs: 10_000 })).toEqual({ met: true, value: true })
      await rm(folder, { recursive: true })
    },
  )
})
