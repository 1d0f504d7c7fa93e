import { describe, expect, it } from 'vitest'
import { freePort } from '../../src/process/free-port.ts'
import { until } from '../../src/process/until.ts'

describe('a wait', () => {
  it('ends with the first value', async () => {
    let looks = 0
    const probe = (): number | undefined => ((looks += 1) < 3 ? undefined : looks)
    expect(await until(probe, { timeoutMs: 5000, everyMs: 1 })).toEqual({ met: true, value: 3 })
  })

  it('ends at its limit with the last error of the probe', async () => {
    const lastError = new Error('connection refused')
    const probe = (): Promise<true> => Promise.reject(lastError)
    expect(await until(probe, { timeoutMs: 10, everyMs: 1 })).toEqual({ met: false, lastError })
  })

  it('ends with the reason of its signal', async () => {
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(until(() => true, { timeoutMs: 1000, signal })).rejects.toThrow('enough')
  })
})

describe('a free port', () => {
  it('is never given twice, and lies below the ports of outgoing connections', async () => {
    const ports = await Promise.all(Array.from({ length: 50 }, freePort))
    expect(new Set(ports).size).toBe(50)
    expect(Math.max(...ports)).toBeLessThan(32_768)
  })
})
