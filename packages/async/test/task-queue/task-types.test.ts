import {
  chain,
  chord,
  createTaskQueue,
  defineTask,
  group,
  map,
  type Flow,
  type Task,
} from '@dharma/async/task-queue'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'

const count = defineTask({ name: 'count', input: z.string(), run: (text) => text.length })
const half = defineTask({ name: 'half', input: z.number(), run: (n) => n / 2 })
const total = defineTask({
  name: 'total',
  input: z.tuple([z.number(), z.string()]),
  run: ([n, text]) => ({ n, text }),
})
const name = defineTask({ name: 'name', input: z.number(), run: (n) => `n${n}` })

describe('the types of tasks', () => {
  it('refuse a wrong input, and the schema does too', async () => {
    await using queue = createTaskQueue()
    // @ts-expect-error a number is no string
    await expect(queue.enqueue(count, 1)).rejects.toMatchObject({ code: 'DHARMA_TASK_INPUT' })
    // @ts-expect-error one of them is no string
    await expect(queue.enqueueMany(count, ['a', 1])).rejects.toThrow('input of task count')
    // @ts-expect-error a number is no string
    await expect(queue.schedule('s', count, 1, { everyMs: 1_000 })).rejects.toThrow('input of task')
    // @ts-expect-error a number is no string
    expect(() => count.with(1)).toThrow('input of task count')
    expect(await queue.counts()).toMatchObject({ waiting: 0 })
  })

  it('carry results through chains, groups and chords', () => {
    expectTypeOf(chain(count, half, name)).toEqualTypeOf<Flow<string, string>>()
    expectTypeOf(group(half, name)).toEqualTypeOf<Flow<number, [number, string]>>()
    expectTypeOf(chord([half, name], total)).toEqualTypeOf<
      Flow<number, { n: number; text: string }>
    >()
    expectTypeOf(map(half)).toEqualTypeOf<Flow<readonly number[], number[]>>()
    expectTypeOf(chain(count.with('abc'), half)).toEqualTypeOf<Flow<unknown, number>>()
    // @ts-expect-error half takes a number, name gives a string
    chain(count, name, half)
    // @ts-expect-error total takes a number and a string, in this order
    chord([name, half], total)
    // @ts-expect-error no input suits both
    expectTypeOf(group(count, half)).toEqualTypeOf<Flow<number, [number, number]>>()
  })

  it('start a workflow only with the input that it lacks', async () => {
    await using queue = createTaskQueue()
    // @ts-expect-error count has no input yet
    await expect(queue.run(count)).rejects.toThrow('input of task count')
    // @ts-expect-error a number is no string
    await expect(queue.run(count, 1)).rejects.toThrow('input of task count')
    expectTypeOf(
      (await queue.run(count.with('abc'))).result,
    ).returns.resolves.toEqualTypeOf<number>()
  })

  it('take any tasks where none is meant in particular', () => {
    const tasks: Task[] = [count, half, total]
    expect(tasks).toHaveLength(3)
  })
})
