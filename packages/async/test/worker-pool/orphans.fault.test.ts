import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const owner = fileURLToPath(new URL('fixtures/owner.ts', import.meta.url))

it(
  'child processes end with a parent that is killed, idle ones and hung ones',
  { timeout: 30_000 },
  async () => {
    const parent = spawn(process.execPath, ['--conditions=@dharma/source', owner], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(createInterface(parent.stdout), 'line')) as [string]
    const pids = JSON.parse(line) as readonly number[]
    expect(pids).toHaveLength(2)
    for (const pid of pids) expect(isAlive(pid)).toBe(true)
    parent.kill('SIGKILL')
    await once(parent, 'exit')
    await expect.poll(() => pids.filter(isAlive), { timeout: 10_000 }).toEqual([])
  },
)

it(
  'a pool that has nothing to do does not keep its process alive',
  { timeout: 30_000 },
  async () => {
    const parent = spawn(process.execPath, ['--conditions=@dharma/source', owner, 'idle'], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    const [code] = (await once(parent, 'exit')) as [number]
    expect(code).toBe(0)
  },
)

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
