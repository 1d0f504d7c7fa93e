import { ManualClock } from '@dharma/core/testing'
import { expect, it } from 'vitest'
import { SilenceWatch } from '../../src/postgres/silence-watch.ts'

interface Scene {
  readonly clock: ManualClock
  readonly watch: SilenceWatch
  answers: number
  isWaiting: boolean
  looks: number
}

function scene(): Scene {
  const clock = new ManualClock()
  const made: Scene = {
    clock,
    answers: 0,
    isWaiting: true,
    looks: 0,
    watch: new SilenceWatch({
      clock,
      answers: () => made.answers,
      isWaiting: () => made.isWaiting,
      look: async () => {
        made.looks += 1
      },
    }),
  }
  return made
}

it('looks when nothing was answered for a tenth of a second, and then ever more seldom', async () => {
  const made = scene()
  made.watch.wake()
  made.watch.wake()
  await made.clock.advance(100)
  expect(made.looks).toBe(0)
  await made.clock.advance(50)
  expect(made.looks).toBe(1)
  await made.clock.advance(500)
  expect(made.looks).toBe(2)
  await made.clock.advance(120_000)
  expect(made.looks).toBeLessThan(12)
  made.answers += 1
  await made.clock.advance(200)
  expect(made.looks).toBeLessThan(13)
})

it('looks for nothing while answers come, and stops when nobody waits', async () => {
  const made = scene()
  made.watch.wake()
  for (let tick = 0; tick < 40; tick++) {
    made.answers += 1
    await made.clock.advance(50)
  }
  made.isWaiting = false
  await made.clock.advance(50)
  expect(made.looks).toBe(0)
  expect(made.clock.pendingTimers).toBe(0)
  made.watch.stop()
})
