import { constant } from '@dharma/async/resilience'
import {
  chain,
  chord,
  chunks,
  group,
  map,
  TaskCancelledError,
  WorkflowFailedError,
} from '@dharma/async/task-queue'
import { expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { sandboxOf, SOON, type QueueContract, type Sandbox } from './sandbox.ts'

function arithmetic(box: Sandbox) {
  return {
    add: box.define('add', {
      input: z.object({ a: z.number(), b: z.number() }),
      run: ({ a, b }) => a + b,
    }),
    double: box.define('double', { input: z.number(), run: (n) => n * 2 }),
    sum: box.define('sum', {
      input: z.array(z.number()).readonly(),
      run: (all) => all.reduce((total, n) => total + n, 0),
    }),
    upTo: box.define('upTo', {
      input: z.number(),
      run: (n) => Array.from({ length: n }, (_, index) => index),
    }),
    fail: box.define('fail', {
      input: z.number(),
      retry: { maxAttempts: 2, backoff: constant(1) },
      run: (n): number => {
        throw new Error(`cannot do ${n}`)
      },
    }),
  }
}

/** Work made of tasks; the same on every engine. */
export function itRunsWorkflows(make: () => QueueContract): void {
  it('hands the result of each step of a chain to the next', async () => {
    await using box = sandboxOf(make())
    const { add, double } = arithmetic(box)
    box.queue.work([add, double])
    const workflow = await box.queue.run(chain(add.with({ a: 1, b: 2 }), double, double))
    const result = await workflow.result(SOON)
    expectTypeOf(result).toEqualTypeOf<number>()
    expect(result).toBe(12)
    expect(await workflow.status()).toMatchObject({ state: 'completed' })
  })

  it('gives the results of a group in the order of its steps', async () => {
    await using box = sandboxOf(make())
    const { add, double, upTo, sum } = arithmetic(box)
    box.queue.work([add, double, upTo, sum])
    const flow = group(add.with({ a: 1, b: 1 }), double.with(4), upTo.with(3))
    const result = await (await box.queue.run(flow)).result(SOON)
    expectTypeOf(result).toEqualTypeOf<[number, number, number[]]>()
    expect(result).toEqual([2, 8, [0, 1, 2]])
  })

  it('runs a chord, a group in the middle of a chain, and groups within groups', async () => {
    await using box = sandboxOf(make())
    const { add, double, sum } = arithmetic(box)
    box.queue.work([add, double, sum])
    const header = chord([double.with(1), double.with(2)], sum)
    expect(await (await box.queue.run(header)).result(SOON)).toBe(6)
    const nested = chain(
      add.with({ a: 1, b: 2 }),
      group(double, chain(double, double), double.with(100)),
      sum,
    )
    expect(await (await box.queue.run(nested)).result(SOON)).toBe(6 + 12 + 200)
  })

  it('maps a task over inputs, over a result, and in chunks', async () => {
    await using box = sandboxOf(make())
    const { double, sum, upTo } = arithmetic(box)
    box.queue.work([double, sum, upTo])
    const fixed = await box.queue.run(chain(map(double, [1, 2, 3]), sum))
    expect(await fixed.result(SOON)).toBe(12)
    const dynamic = await box.queue.run(chain(upTo.with(4), map(double), sum))
    expect(await dynamic.result(SOON)).toBe(12)
    const inChunks = await box.queue.run(chunks(double, [1, 2, 3, 4, 5], 2))
    expect(await inChunks.result(SOON)).toEqual([2, 4, 6, 8, 10])
  })

  it('goes on when a group or a mapped result is empty', async () => {
    await using box = sandboxOf(make())
    const { double, sum, upTo } = arithmetic(box)
    box.queue.work([double, sum, upTo])
    expect(await (await box.queue.run(chain(map(double, []), sum))).result(SOON)).toBe(0)
    const dynamic = await box.queue.run(chain(upTo.with(0), map(double), sum))
    expect(await dynamic.result(SOON)).toBe(0)
  })

  it('starts with an input of its own', async () => {
    await using box = sandboxOf(make())
    const { double } = arithmetic(box)
    box.queue.work([double])
    expect(await (await box.queue.run(chain(double, double), 3)).result(SOON)).toBe(12)
    expect(await (await box.queue.run(double, 3)).result(SOON)).toBe(6)
  })

  it('fails with the step that failed for good, and starts nothing after it', async () => {
    await using box = sandboxOf(make())
    const { fail, double } = arithmetic(box)
    const seen: number[] = []
    const after = box.define('after', { input: z.number(), run: (n) => void seen.push(n) })
    box.queue.work([fail, double, after])
    const workflow = await box.queue.run(chain(double.with(2), fail, after))
    const error = await workflow.result(SOON).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(WorkflowFailedError)
    expect(error).toMatchObject({
      code: 'DHARMA_WORKFLOW_FAILED',
      task: fail.name,
      reason: 'cannot do 4',
    })
    expect(seen).toEqual([])
    await expect
      .poll(() => box.queue.admin.deadLetters(fail.queue))
      .toMatchObject([{ attempts: 2, task: fail.name }])
  })

  it('ends the other members of a group when one fails', async () => {
    await using box = sandboxOf(make())
    const { fail } = arithmetic(box)
    const started = Promise.withResolvers<void>()
    const aborted = Promise.withResolvers<unknown>()
    const long = box.define('long', {
      run: (_, { signal }) => {
        started.resolve()
        return new Promise<void>((resolve) => {
          signal.addEventListener('abort', () => {
            aborted.resolve(signal.reason)
            resolve()
          })
        })
      },
    })
    const failing = box.define('failing', {
      retry: { maxAttempts: 1 },
      run: async () => {
        await started.promise
        throw new Error('one is enough')
      },
    })
    box.queue.work([fail, long, failing])
    const workflow = await box.queue.run(group(long.with({}), failing.with({})))
    await expect(workflow.result(SOON)).rejects.toThrow('one is enough')
    expect(await aborted.promise).toBeInstanceOf(TaskCancelledError)
  })

  it('fails where a step returned no array to map, or more than an input may have', async () => {
    await using box = sandboxOf(make(), { maxInputBytes: 50 })
    const { double, sum, upTo } = arithmetic(box)
    const any = box.define('any', { input: z.number(), run: (n) => n as unknown as number[] })
    box.queue.work([double, sum, upTo, any])
    const wrong = await box.queue.run(chain(any.with(1), map(double)))
    await expect(wrong.result(SOON)).rejects.toThrow('returned no array')
    const large = await box.queue.run(chain(upTo.with(100), sum))
    await expect(large.result(SOON)).rejects.toThrow('the limit is 50')
  })

  it('is cancelled in the middle', async () => {
    await using box = sandboxOf(make())
    const { double } = arithmetic(box)
    const started = Promise.withResolvers<void>()
    const aborted = Promise.withResolvers<unknown>()
    const long = box.define('long', {
      run: (_, { signal }) => {
        started.resolve()
        return new Promise<number>((resolve) => {
          signal.addEventListener('abort', () => {
            aborted.resolve(signal.reason)
            resolve(1)
          })
        })
      },
    })
    box.queue.work([double, long])
    const workflow = await box.queue.run(chain(long.with({}), double))
    await started.promise
    expect(await box.queue.workflow(workflow.id).cancel('not today')).toBe(true)
    await expect(workflow.result(SOON)).rejects.toThrow('not today')
    expect(await aborted.promise).toBeInstanceOf(TaskCancelledError)
    expect(await workflow.cancel()).toBe(false)
    expect(await box.queue.workflow('no-such-workflow').cancel()).toBe(false)
    await expect(box.queue.workflow('no-such-workflow').result(SOON)).rejects.toThrow(
      'no longer known',
    )
  })

  it('is started once for one id', async () => {
    await using box = sandboxOf(make())
    let runs = 0
    const counted = box.define('counted', { run: () => ++runs })
    box.queue.work([counted])
    const id = `w-${Math.random().toString(36).slice(2)}`
    const first = await box.queue.run(counted.with({}), undefined, { id })
    expect(await first.result(SOON)).toBe(1)
    const again = await box.queue.run(counted.with({}), undefined, { id })
    expect(await again.result(SOON)).toBe(1)
  })

  it('survives the end of a worker between starting the next step and ending its own', async () => {
    const contract = make()
    await using box = sandboxOf(contract)
    const { double, sum } = arithmetic(box)
    let isBroken = true
    const { complete } = box.engine
    // The engine is lost at exactly that moment, once for each job.
    const failedOnce = new Set<string>()
    box.engine.complete = async (job, result) => {
      if (isBroken && !failedOnce.has(job.id)) {
        failedOnce.add(job.id)
        await box.engine.release(job)
        throw new Error('gone')
      }
      return complete.call(box.engine, job, result)
    }
    box.queue.work([double, sum], { onError: () => {} })
    const workflow = await box.queue.run(chain(group(double.with(1), double.with(2)), sum, double))
    expect(await workflow.result(SOON)).toBe(12)
    isBroken = false
    expect(failedOnce.size).toBeGreaterThanOrEqual(3)
  })
}
