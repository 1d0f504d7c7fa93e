import { DharmaError, Secret, silentLogger, type Logger } from '@dharma/core'
import { createLogger, type LoggerOptions } from '@dharma/core/logger'
import { ManualClock } from '@dharma/core/testing'
import { pino } from 'pino'
import { describe, expect, expectTypeOf, test } from 'vitest'

type Line = Record<string, unknown>

function capture(options: Omit<LoggerOptions, 'destination'> = {}): {
  logger: ReturnType<typeof createLogger>
  text: () => string
  last: () => Line
} {
  const lines: string[] = []
  const logger = createLogger({ ...options, destination: { write: (line) => lines.push(line) } })
  return {
    logger,
    text: () => lines.join(''),
    last: () => JSON.parse(lines.at(-1) ?? '{}') as Line,
  }
}

class FullError extends DharmaError {
  override readonly name = 'FullError'
  readonly code = 'DHARMA_FULL'
  readonly limit = 5
  readonly password = 'canary-4711'
}

describe('createLogger', () => {
  test('writes one JSON line with level, time, name, fields and message', () => {
    const clock = new ManualClock({ startMs: 1000 })
    const { logger, last } = capture({ name: 'orders', clock })
    logger.info({ count: 2 }, 'took %d of %s', 2, 'many')
    expect(last()).toMatchObject({
      level: 30,
      time: 1000,
      name: 'orders',
      count: 2,
      msg: 'took 2 of many',
    })
  })

  test('lines below the level are not written', () => {
    const { logger, text } = capture({ level: 'warn' })
    logger.info('no')
    expect(text()).toBe('')
    logger.warn('yes')
    expect(text()).toContain('"msg":"yes"')
  })

  test('an unknown level is refused', () => {
    expect(() => createLogger({ level: 'loud' as 'info' })).toThrow(
      new RangeError(
        'level must be one of trace, debug, info, warn, error, fatal, silent, got "loud"',
      ),
    )
  })

  test('writes to standard output when no destination is given', () => {
    expect(createLogger({ level: 'silent' }).isLevelEnabled('fatal')).toBe(false)
  })

  test('secrets and values under secret keys read *** at any depth', () => {
    const { logger, last, text } = capture({ redact: ['Customer-Number'] })
    logger.info({
      key: new Secret('canary-4711'),
      list: [new Secret('canary-4711')],
      password: 'canary-4711',
      deep: { db_password: 'canary-4711', 'Set-Cookie': ['canary-4711'], x: { accessToken: 4711 } },
      headers: { Authorization: 'canary-4711', accept: '*/*' },
      customerNumber: 'canary-4711',
      hasPassword: true,
      token: null,
      tokenCount: 3,
    })
    expect(text()).not.toContain('canary')
    expect(last()).toMatchObject({
      key: '***',
      list: ['***'],
      password: '***',
      deep: { db_password: '***', 'Set-Cookie': '***', x: { accessToken: '***' } },
      headers: { Authorization: '***', accept: '*/*' },
      customerNumber: '***',
      hasPassword: true,
      token: null,
      tokenCount: 3,
    })
  })

  test('bindings of children, and of their children, are redacted too', () => {
    const { logger, last, text } = capture()
    const child = logger.child({ apiKey: 'canary-4711', part: 'a' })
    const grandchild = child.child({ secret: 'canary-4711', part: 'b' }, { level: 'debug' })
    grandchild.debug('deep')
    expect(text()).not.toContain('canary')
    expect(last()).toMatchObject({ apiKey: '***', secret: '***', msg: 'deep' })
    child.setBindings({ token: 'canary-4711' })
    child.info('set')
    expect(last()).toMatchObject({ token: '***', apiKey: '***' })
    expect(text()).not.toContain('canary')
  })

  test('credentials are cut out of text: messages, values, fields', () => {
    const { logger, last, text } = capture()
    logger.info('cannot reach redis://user:canary-4711@host:6379/0 as %s', 'x://:canary@47@h')
    expect(last()['msg']).toBe('cannot reach redis://***@host:6379/0 as x://***@h')
    logger.info({ target: 'host=h password=canary-4711 user=u', q: 'a?api_key=canary&b=1' })
    expect(last()).toMatchObject({
      target: 'host=h password=*** user=u',
      q: 'a?api_key=***&b=1',
    })
    logger.warn({ header: 'Bearer canary-4711' }, 'Authorization: Basic canary4711==')
    expect(last()).toMatchObject({ header: 'Bearer ***', msg: 'Authorization: Basic ***' })
    logger.info('%o %j %s %d', { password: 'canary' }, { pwd: 'canary' }, new Secret('canary'), 1)
    logger.info(new Secret('canary') as object)
    expect(last()['msg']).toBe('***')
    expect(text()).not.toContain('canary')
  })

  test('an error is written with type, code, fields, stack and its causes', () => {
    const { logger, last, text } = capture()
    const root = Object.assign(new Error('no route to redis://:canary-4711@h'), { errno: -113 })
    const error = new FullError('queue is full', { cause: root })
    for (const log of [
      () => logger.error(error),
      () => logger.error({ err: error }),
      () => logger.error({ reason: { error } }, 'nested'),
    ]) {
      log()
    }
    expect(text()).not.toContain('canary')
    expect(last()['reason']).toMatchObject({
      error: {
        type: 'FullError',
        code: 'DHARMA_FULL',
        limit: 5,
        password: '***',
        message: 'queue is full',
        stack: expect.stringContaining('create-logger.test.ts') as string,
        cause: { type: 'Error', message: 'no route to redis://***@h', errno: -113 },
      },
    })
    logger.error(error, 'while adding %s', 'a job')
    expect(last()).toMatchObject({ msg: 'while adding a job', err: { code: 'DHARMA_FULL' } })
    logger.error(error)
    expect(last()['msg']).toBe('queue is full')
    logger.error(new AggregateError([new FullError('first')], 'all failed'))
    expect(last()['err']).toMatchObject({ errors: [{ code: 'DHARMA_FULL', message: 'first' }] })
  })

  test('cycles, depth, width, binary data and throwing getters do not lose the line', () => {
    const { logger, last } = capture()
    const cycle: Line = { name: 'loop' }
    cycle['self'] = cycle
    const chain = Array.from({ length: 12 }).reduce<Line>((below) => ({ below }), {})
    logger.info({
      cycle,
      chain,
      wide: Array.from({ length: 130 }, (_, index) => index),
      keys: Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`k${index}`, index])),
      bytes: Buffer.from('canary'),
      big: 10n,
      at: new Date(0),
      map: new Map<unknown, unknown>([
        ['password', 'x'],
        [1, 'one'],
      ]),
      set: new Set([1, 2]),
      get broken(): string {
        throw new Error('no')
      },
      json: {
        toJSON() {
          throw new Error('no')
        },
      },
    })
    const line = last()
    expect(line).toMatchObject({
      cycle: { name: 'loop', self: '[circular]' },
      bytes: '[6 bytes]',
      big: '10',
      at: '1970-01-01T00:00:00.000Z',
      map: { password: '***', 1: 'one' },
      set: [1, 2],
      broken: '[unreadable]',
      json: '[unreadable]',
    })
    expect(JSON.stringify(line['chain'])).toContain('[too deep]')
    expect((line['wide'] as unknown[]).at(-1)).toBe('[30 more]')
    expect((line['keys'] as Line)['…']).toBe('[1 more]')
  })

  test('what is logged is not changed', () => {
    const { logger } = capture()
    const fields = Object.freeze({ password: 'p', deep: Object.freeze({ token: 't' }) })
    logger.info(fields)
    expect(fields).toEqual({ password: 'p', deep: { token: 't' } })
  })
})

describe('Logger', () => {
  test('pino, createLogger and silentLogger fit the contract', () => {
    expectTypeOf(pino).returns.toExtend<Logger>()
    expectTypeOf(createLogger).returns.toExtend<Logger>()
    expectTypeOf(silentLogger).toExtend<Logger>()
  })

  test('the silent logger and its children write nothing and do not fail', () => {
    const child = silentLogger.child({ a: 1 })
    for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const) {
      expect(child[level]({ level }, 'nothing')).toBeUndefined()
    }
    expect(child).toBe(silentLogger)
  })
})
