import { describe, expect, it } from 'vitest'
import { Throttle } from '../../src/proxy/throttle.ts'

describe('a throttle', () => {
  it('books bytes one after the other at its rate', () => {
    const throttle = new Throttle(1000)
    expect(throttle.reserve('toServer', 500, 0)).toBe(500)
    expect(throttle.reserve('toServer', 500, 100)).toBe(900)
  })

  it('does not save up an idle time', () => {
    const throttle = new Throttle(1000)
    throttle.reserve('toServer', 100, 0)
    expect(throttle.reserve('toServer', 100, 60_000)).toBe(100)
  })

  it('counts each direction for itself', () => {
    const throttle = new Throttle(1000)
    throttle.reserve('toServer', 1000, 0)
    expect(throttle.reserve('toClient', 100, 0)).toBe(100)
  })
})
