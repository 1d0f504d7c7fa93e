import { CreateFailedError } from '@dharma/async/connection-pool'
import { ClosedError } from '@dharma/core'
import { ManualClock } from '@dharma/core/testing'
import { PostgresConnectionError, PostgresQueryError } from '@dharma/database/postgres'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EndpointHealth } from '../../../src/postgres/endpoints/endpoint-health.ts'
import { LagTracker } from '../../../src/postgres/endpoints/lag-tracker.ts'
import { formatLsn, parseLsn } from '../../../src/postgres/endpoints/lsn.ts'
import { PrimaryWait } from '../../../src/postgres/endpoints/primary-wait.ts'
import { ReadContext } from '../../../src/postgres/endpoints/read-context.ts'
import {
  isCertainOutage,
  isCrowded,
  isOutage,
  NothingDoneError,
  reasonNotDone,
} from '../../../src/postgres/outage.ts'
import { resolvePostgresOptions } from '../../../src/postgres/postgres-options.ts'

describe('an LSN', () => {
  it('is written as it was read', () => {
    const places = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).filter((lsn) => lsn % 8_192n !== 24n)
    fc.assert(
      fc.property(places, (lsn) => {
        expect(parseLsn(formatLsn(lsn))).toBe(lsn)
      }),
    )
  })

  it('just behind the header of a page is where the page begins, for no record lies between', () => {
    expect(formatLsn(parseLsn('1/18'))).toBe('1/0')
    expect(formatLsn(parseLsn('1/28'))).toBe('1/28')
  })

  it.each(['', '1', '1/', '/1', '1/G', '123456789/1', '1/2; drop'])('is not %j', (text) => {
    expect(() => parseLsn(text)).toThrow(RangeError)
  })
})

describe('LagTracker', () => {
  it('agrees with a list of all that was ever seen', () => {
    const steps = fc.array(fc.record({ afterMs: fc.nat(100), written: fc.nat(5) }), {
      maxLength: 200,
      minLength: 1,
    })
    fc.assert(
      fc.property(steps, fc.nat(1_000), (seen, replayed) => {
        const tracker = new LagTracker()
        const samples: { atMs: number; lsn: number }[] = []
        let [atMs, lsn] = [0, 0]
        for (const { afterMs, written } of seen) {
          atMs += afterMs
          lsn += written
          samples.push({ atMs, lsn })
          tracker.primaryAt(atMs, BigInt(lsn))
        }
        const held = samples.findLast((sample) => sample.lsn <= replayed)
        const expected = held === undefined ? Infinity : atMs + 7 - held.atMs
        expect(tracker.lagMs(BigInt(replayed), atMs + 7)).toBe(expected)
        expect(tracker.heardMs).toBe(atMs)
      }),
    )
  })

  it('makes nobody old while the primary writes nothing, and knows nothing before it was heard', () => {
    const tracker = new LagTracker()
    expect(tracker.heardMs).toBe(0)
    expect(tracker.lagMs(5n, 10)).toBe(Infinity)
    tracker.primaryAt(0, 5n)
    tracker.primaryAt(60_000, 5n)
    expect(tracker.lagMs(5n, 60_010)).toBe(10)
    tracker.reset()
    expect(tracker.lagMs(5n, 60_010)).toBe(Infinity)
  })

  it('begins anew with a primary that is behind what was seen', () => {
    const tracker = new LagTracker()
    tracker.primaryAt(0, 50n)
    tracker.primaryAt(10, 20n)
    expect(tracker.lagMs(30n, 15)).toBe(5)
  })

  it('keeps a bounded number of samples', () => {
    const tracker = new LagTracker()
    for (let lsn = 0; lsn < 1_000; lsn++) tracker.primaryAt(lsn, BigInt(lsn))
    expect(tracker.lagMs(1n, 1_000)).toBe(Infinity)
    expect(tracker.lagMs(900n, 1_000)).toBe(100)
  })
})

describe('ReadContext', () => {
  it('knows its place again only after the write that was under way while it asked', async () => {
    const context = new ReadContext(7n)
    expect(context.position).toBe(7n)
    context.wrote()
    expect(context.position).toBeUndefined()
    const answers = [9n, 12n]
    const place = await context.locate(async () => {
      if (answers.length === 2) context.wrote()
      return answers.shift() ?? 0n
    })
    expect(place).toBe(12n)
    expect(context.position).toBe(12n)
    expect(await context.locate(() => Promise.reject(new Error('not asked')))).toBe(12n)
  })

  it('asks once for all who want to know, and again after a failure', async () => {
    const context = new ReadContext()
    context.wrote()
    let asked = 0
    const fail = async (): Promise<bigint> => {
      asked += 1
      throw new Error('away')
    }
    const both = [context.locate(fail), context.locate(fail)]
    const outcomes = await Promise.allSettled(both)
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(asked).toBe(1)
    expect(await context.locate(async () => 3n)).toBe(3n)
  })
})

const refused = (code: string): PostgresConnectionError => {
  return new PostgresConnectionError('no', undefined, {
    cause: Object.assign(new Error('no'), { code }),
  })
}

describe('the reasons why nothing was done', () => {
  const crowded = new PostgresConnectionError('full', '53300')

  it('are told from errors after which that is not known', () => {
    const readOnly = new PostgresQueryError('no', '25006', {})
    expect(reasonNotDone(readOnly)).toBe(readOnly)
    expect(reasonNotDone(new NothingDoneError(crowded))).toBe(crowded)
    expect(reasonNotDone(new CreateFailedError('p', 1, 1, { cause: crowded }))).toBe(crowded)
    const bare = new CreateFailedError('p', 1, 1)
    expect(reasonNotDone(bare)).toBe(bare)
    expect(reasonNotDone(crowded)).toBeUndefined()
    expect(reasonNotDone('text')).toBeUndefined()
  })

  it.each([
    [new PostgresConnectionError('starting', '57P03'), true, true],
    [new PostgresConnectionError('ended', '57P01'), true, false],
    [new PostgresConnectionError('password', '28P01'), false, false],
    [crowded, false, false],
    [refused('ECONNREFUSED'), true, true],
    [refused('ECONNRESET'), true, false],
    [refused('DEPTH_ZERO_SELF_SIGNED_CERT'), false, false],
    [refused('ERR_TLS_CERT_ALTNAME_INVALID'), false, false],
    [new PostgresConnectionError('The server does not support SSL connections'), false, false],
    [new Error('anything'), true, false],
  ])('say whether the server is away: %s', (error, isAway, isCertain) => {
    expect(isOutage(error)).toBe(isAway)
    expect(isCertainOutage(error)).toBe(isCertain)
    expect(isCrowded(error)).toBe(error === crowded)
  })
})

describe('EndpointHealth', () => {
  class Server {
    readonly clock = new ManualClock()
    readonly events: string[] = []
    outcome: Error | undefined
    onProbe: () => void = () => undefined
    readonly health: EndpointHealth

    constructor() {
      this.health = new EndpointHealth({
        clock: this.clock,
        random: () => 0.5,
        probe: async () => {
          this.events.push('probe')
          this.onProbe()
          if (this.outcome !== undefined) throw this.outcome
        },
        onDown: () => this.events.push('down'),
        onAnswered: () => this.events.push('answered'),
      })
    }

    async pass(ms: number): Promise<void> {
      // The verdict waits for a turn of the event loop, which no manual clock moves.
      await new Promise(setImmediate)
      await this.clock.advance(ms)
      await new Promise(setImmediate)
    }
  }

  it('is cleared of a suspicion by a probe that is answered', async () => {
    const server = new Server()
    server.health.suspect()
    server.health.suspect()
    await server.pass(0)
    expect(server.events).toEqual(['probe', 'answered'])
    expect(server.health.isDown).toBe(false)
  })

  it('is down at once when it is refused, probed with growing pauses, and up again', async () => {
    const server = new Server()
    server.outcome = refused('ECONNREFUSED')
    server.health.suspect()
    await server.pass(0)
    expect(server.events).toEqual(['probe', 'down'])
    expect(server.health.state).toMatchObject({ kind: 'down', sinceMs: 0, error: server.outcome })
    for (let second = 0; second < 60; second++) await server.pass(1_000)
    const probes = server.events.length
    expect(probes).toBeGreaterThan(60)
    server.outcome = undefined
    for (let look = 0; look < 3; look++) await server.pass(1_000)
    expect(server.events.at(-1)).toBe('answered')
    expect(server.health.isDown).toBe(false)
  })

  it('tells those who wait as soon as a suspicion proves right or wrong', async () => {
    const server = new Server()
    expect(server.health.verdict).toBeUndefined()
    server.health.suspect()
    const wrong = server.health.verdict
    expect(wrong).toBeDefined()
    await wrong
    expect(server.health.isDown).toBe(false)
    expect(server.health.verdict).toBeUndefined()
    server.outcome = refused('ECONNREFUSED')
    server.health.suspect()
    await server.health.verdict
    // It is probed on, but nobody needs to wait for what is known.
    expect(server.health.isDown).toBe(true)
    expect(server.health.verdict).toBeUndefined()
    server.health.close()
  })

  it('needs two silent probes, and none if there was a sign of life meanwhile', async () => {
    const server = new Server()
    server.outcome = new PostgresConnectionError('timeout expired')
    server.health.suspect()
    await server.pass(0)
    expect(server.health.isDown).toBe(false)
    await server.pass(20)
    expect(server.health.isDown).toBe(true)

    const alive = new Server()
    alive.outcome = server.outcome
    alive.onProbe = () => {
      alive.health.answers += 1
    }
    alive.health.suspect()
    await alive.pass(20)
    expect(alive.events).toEqual(['probe'])
  })

  it('is not down because it takes no further session', async () => {
    const server = new Server()
    server.outcome = new PostgresConnectionError('full', '53300')
    server.health.suspect()
    await server.pass(1_000)
    expect(server.events).toEqual(['probe'])
  })

  it('leaves no timer and asks nothing once it is closed', async () => {
    const server = new Server()
    server.outcome = refused('ECONNREFUSED')
    server.health.suspect()
    await server.pass(0)
    server.health.close()
    await server.pass(0)
    expect(server.clock.pendingTimers).toBe(0)
    server.health.suspect()
    await server.pass(5_000)
    expect(server.events).toEqual(['probe', 'down'])

    const probing = new Server()
    probing.outcome = server.outcome
    probing.onProbe = () => probing.health.close()
    probing.health.suspect()
    await probing.pass(10)
    expect(probing.events).toEqual(['probe'])
  })
})

describe('PrimaryWait', () => {
  const clock = new ManualClock()
  const url = 'postgres://127.0.0.1/db'
  const settings = resolvePostgresOptions({ url, clock, outageWaitMs: 100, name: 'shop' })

  it('is over when the primary is back, when the outage lasts, and at the deadline', async () => {
    let isServed = false
    const wait = new PrimaryWait(settings, () => isServed)
    wait.onChange()
    const late = wait.isServed(clock.monotonicMs() + 50, undefined)
    await clock.advance(50)
    expect(await late).toBe(false)
    const back = wait.isServed(clock.monotonicMs() + 1_000, undefined)
    isServed = true
    wait.onChange()
    expect(await back).toBe(true)
    isServed = false
    wait.onChange()
    const long = wait.isServed(clock.monotonicMs() + 1_000, undefined)
    await clock.advance(100)
    expect(await long).toBe(false)
    // Those who come later are told at once.
    expect(await wait.isServed(clock.monotonicMs() + 1_000, undefined)).toBe(false)
    expect(clock.pendingTimers).toBe(0)
  })

  it('ends with the signal’s reason, and with the manager', async () => {
    const wait = new PrimaryWait(settings, () => false)
    wait.onChange()
    const abort = new AbortController()
    const aborted = wait.isServed(clock.monotonicMs() + 1_000, abort.signal)
    abort.abort(new Error('the user left'))
    await expect(aborted).rejects.toThrow('the user left')
    const closed = wait.isServed(clock.monotonicMs() + 1_000, undefined)
    wait.close()
    await expect(closed).rejects.toBeInstanceOf(ClosedError)
    expect(clock.pendingTimers).toBe(0)
  })
})
