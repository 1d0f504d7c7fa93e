import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { uniqueName } from '@dharma/testkit'
import { describeWithRedis } from '@dharma/testkit/vitest'
import { Redis } from 'ioredis'
import { expect, inject, it, onTestFinished } from 'vitest'

const ENTRY = fileURLToPath(new URL('stampede-process.ts', import.meta.url))
const PROCESSES = 4
const CALLERS = 1_000

/** Four processes that call at once. */
async function start(behavior: string): Promise<{
  readonly children: readonly ChildProcess[]
  readonly calls: () => Promise<number>
  readonly outcomes: () => Promise<readonly (readonly string[])[]>
}> {
  const url = inject('redisUrl')
  const namespace = uniqueName('stampede')
  const redis = new Redis(url)
  onTestFinished(() => redis.disconnect())
  const children = Array.from({ length: PROCESSES }, () => {
    const parameters = [url, namespace, String(CALLERS / PROCESSES), behavior]
    const child = fork(ENTRY, parameters, { execArgv: ['--conditions=@dharma/source'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    return child
  })
  await Promise.all(children.map((child) => once(child, 'message')))
  return {
    children,
    calls: async () => Number((await redis.get(`${namespace}:calls`)) ?? 0),
    outcomes: async () => {
      const outcomes = children.map(outcomesOf)
      await Promise.all(children.map((child) => heard(child, 'calling')))
      for (const child of children) child.send('end')
      return Promise.all(outcomes)
    },
  }
}

describeWithRedis('1,000 callers on one cold key, over four processes', () => {
  it.each([
    ['works', 'value'],
    ['throws', 'Error'],
    ['hangs', 'TimeoutError'],
  ])('one loader call, and all get its outcome, when it %s', async (behavior, outcome) => {
    const { calls, outcomes } = await start(behavior)
    const seen = await outcomes()
    expect(new Set(seen.flat())).toEqual(new Set([outcome]))
    expect(await calls()).toBe(1)
  })

  it('one other call, by another process, when the one that loads is killed', async () => {
    const { children, calls } = await start('is killed')
    const running = children.map(outcomesOf)
    const index = await Promise.race(
      children.map((child, at) => heard(child, 'loading').then(() => at)),
    )
    children[index]?.kill('SIGKILL')
    for (const child of children.toSpliced(index, 1)) child.send('end')
    const seen = await Promise.all(running.toSpliced(index, 1))
    expect(new Set(seen.flat())).toEqual(new Set(['value']))
    expect(await calls()).toBe(2)
  })
})

/** Resolves when the process says so. */
async function heard(child: ChildProcess, word: string): Promise<void> {
  for (;;) {
    const [message] = (await once(child, 'message')) as [unknown]
    if (message === word) return
  }
}

async function outcomesOf(child: ChildProcess): Promise<readonly string[]> {
  child.send('go')
  for (;;) {
    const [message] = (await once(child, 'message')) as [string | { readonly seen: string[] }]
    if (typeof message === 'object') return message.seen
  }
}
