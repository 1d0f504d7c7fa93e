import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAsyncManager, moduleTasks, type ModuleTask } from '@dharma/async/async-manager'
import { ClosedError } from '@dharma/core'
import { createMetrics } from '@dharma/core/metrics'
import { afterAll, expect, expectTypeOf, test } from 'vitest'
import type * as workerFunctions from './fixtures/worker-functions.ts'

/** Workers load from the compile cache, so that each start does not strip the types of every file anew. */
const env = { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'dharma-compile-cache') }
const threads = { max: 1, env }
const manager = createAsyncManager({ name: 'cpu', threads, processes: threads })
const work = moduleTasks<typeof workerFunctions>(
  new URL('./fixtures/worker-functions.ts', import.meta.url),
)

afterAll(async () => {
  await manager.close()
})

test("a module's function runs in a thread of this process", async () => {
  const result = await manager.runInThread(work('sum'), [10])
  expect(result).toEqual({ total: 55, isMainThread: false, pid: process.pid })
})

test("a module's function runs in another process", async () => {
  const result = await manager.runInProcess(work('sum'), [10])
  expect(result).toMatchObject({ total: 55, isMainThread: true })
  expect(result.pid).not.toBe(process.pid)
}, 15_000)

test('a self-contained function runs in a thread', async () => {
  const multiply = (a: number, b: number): number => a * b
  expect(await manager.runInThread(multiply, [6, 7])).toBe(42)
  expect(await manager.runInThread(async (text: string) => text.toUpperCase(), ['a'])).toBe('A')
})

test('an error comes back with its fields', async () => {
  await expect(manager.runInThread(work('checkPrime'), [9])).rejects.toMatchObject({
    name: 'NotPrimeError',
    divisor: 3,
    message: 'divisible by 3',
  })
})

test('a signal ends the wait for a task that never ends', async () => {
  const controller = new AbortController()
  const loop = (): never => {
    for (;;);
  }
  const result = manager.runInThread(loop, [], { signal: controller.signal })
  controller.abort(new Error('stop'))
  await expect(result).rejects.toThrow('stop')
  expect(await manager.runInThread((n: number) => n + 1, [1])).toBe(2)
})

test('close lets tasks end, then takes none', async () => {
  const closing = createAsyncManager({ name: 'closing', threads, metrics: createMetrics() })
  const result = closing.runInThread(work('sum'), [1_000])
  await closing.close()
  expect((await result).total).toBe(500_500)
  await expect(closing.runInThread(work('sum'), [1])).rejects.toEqual(new ClosedError('closing'))
  await expect(closing.runInProcess(work('sum'), [1])).rejects.toThrow(ClosedError)
})

test('types follow the module and the function', () => {
  expectTypeOf(work('checkPrime')).toExtend<ModuleTask<readonly [number], number>>()
  expectTypeOf(
    manager.runInThread<readonly [number], number>,
  ).returns.resolves.toEqualTypeOf<number>()
  // @ts-expect-error -- the module has no such function
  work('missing')
})
