import type { Queue } from 'bullmq'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ClaimLane } from '../../src/bullmq/claim-lane.ts'

describe('ClaimLane', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  /** A lane whose looks for lost leases end when the test says so. */
  function laneOf() {
    const looks: PromiseWithResolvers<void>[] = []
    const moveStalledJobsToWait = async (): Promise<void> => {
      const look = Promise.withResolvers<void>()
      looks.push(look)
      return look.promise
    }
    const queue = { getBackend: () => ({ moveStalledJobsToWait }) } as unknown as Queue
    const told: string[] = []
    const onError = ({ message }: Error): void => void told.push(message)
    return { lane: new ClaimLane({ queue, stalledEveryMs: 100, onError }), looks, told }
  }

  it('looks for lost leases again and again, and after one look that failed', async () => {
    const { lane, looks, told } = laneOf()
    await vi.advanceTimersByTimeAsync(100)
    looks[0]?.reject(new Error('no answer'))
    await vi.advanceTimersByTimeAsync(100)
    expect(told).toEqual(['no answer'])
    expect(looks).toHaveLength(2)
    lane.close()
  })

  it('ends with the look that is under way when it is closed, and says nothing of it', async () => {
    const { lane, looks, told } = laneOf()
    await vi.advanceTimersByTimeAsync(100)
    lane.close()
    looks[0]?.reject(new Error('Connection is closed.'))
    await vi.advanceTimersByTimeAsync(1_000)
    expect(looks).toHaveLength(1)
    expect(told).toEqual([])
    expect(vi.getTimerCount()).toBe(0)
  })
})
