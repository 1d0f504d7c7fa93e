import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import {
  descendantsOf,
  isAlive,
  sendSignal,
  signalTree,
  standsStill,
} from '../../src/process/process-tree.ts'
import { until } from '../../src/process/until.ts'

const CHILD = 'setInterval(() => {}, 1000)'
const PARENT = `require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(CHILD)}], { detached: true }); console.log('up'); ${CHILD}`

describe('a process tree', () => {
  it('is stopped, continued and killed with its children, those in other sessions included', async () => {
    const root = spawn(process.execPath, ['-e', PARENT], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(root.stdout, 'data')
    const { pid = 0 } = root
    const family = [pid, ...descendantsOf([pid])]
    expect(family).toHaveLength(2)
    const all = (test: (member: number) => boolean) => () => (family.every(test) ? true : undefined)

    expect(new Set(signalTree(pid, 'SIGSTOP'))).toEqual(new Set(family))
    expect(await until(all(standsStill), { timeoutMs: 2000 })).toMatchObject({ met: true })
    signalTree(pid, 'SIGCONT')
    const runs = (member: number): boolean => !standsStill(member)
    expect(await until(all(runs), { timeoutMs: 2000 })).toMatchObject({ met: true })
    signalTree(pid, 'SIGSTOP')
    expect(await until(all(standsStill), { timeoutMs: 2000 })).toMatchObject({ met: true })
    signalTree(pid, 'SIGKILL')
    const isGone = (member: number): boolean => !isAlive(member)
    expect(await until(all(isGone), { timeoutMs: 2000 })).toMatchObject({ met: true })
  })

  it('takes a signal to a process that is gone without an error', async () => {
    const child = spawn(process.execPath, ['-e', ''])
    await once(child, 'exit')
    sendSignal(child.pid ?? 0, 'SIGTERM')
    expect(isAlive(child.pid ?? 0)).toBe(false)
  })
})
