import { spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { createInterface } from 'node:readline'
import { ClosedError } from '@dharma/core'
import { createLifecycle, type InstallOptions } from '@dharma/core/lifecycle'
import { ManualClock } from '@dharma/core/testing'
import { describe, expect, test, vi } from 'vitest'
import { recordingLogger } from './recording-logger.ts'

class Host extends EventEmitter {
  readonly exits: number[] = []
  exit(code: number): void {
    this.exits.push(code)
  }
}

function start(options: InstallOptions = {}) {
  const clock = new ManualClock()
  const host = new Host()
  const { logger, lines } = recordingLogger()
  const lifecycle = createLifecycle({ clock, logger })
  const installed = lifecycle.install({ host, ...options })
  return { clock, host, lines, lifecycle, installed }
}

describe('a signal', () => {
  test.each(['SIGTERM', 'SIGINT'])(
    '%s shuts down, and the process exits with 0',
    async (signal) => {
      const { clock, host, lifecycle } = start()
      lifecycle.on('finish', 'requests', () => clock.sleep(500))
      host.emit(signal, signal)
      await clock.advance(499)
      expect(host.exits).toEqual([])
      await clock.advance(1)
      expect(host.exits).toEqual([0])
      expect(await lifecycle.stop()).toMatchObject({ reason: signal })
    },
  )

  test('whose shutdown is not clean ends in exit code 1', async () => {
    const { clock, host, lifecycle } = start()
    lifecycle.on('close', 'db', () => Promise.reject(new Error('gone')))
    host.emit('SIGTERM')
    await clock.advance(0)
    expect(host.exits).toEqual([1])
  })

  test('that comes second ends the process at once', async () => {
    const { clock, host, lifecycle, lines } = start()
    lifecycle.on('finish', 'hung', () => new Promise(() => {}))
    host.emit('SIGTERM')
    await clock.advance(100)
    expect(host.exits).toEqual([])
    host.emit('SIGINT')
    expect(host.exits).toEqual([130])
    expect(lines.at(-1)).toMatchObject({ level: 'warn', message: 'a second signal: exit at once' })
  })

  test('joins a shutdown that the program began', async () => {
    const { clock, host, lifecycle } = start()
    lifecycle.on('finish', 'requests', () => clock.sleep(500))
    void lifecycle.stop('by hand')
    host.emit('SIGTERM')
    await clock.advance(500)
    expect(host.exits).toEqual([0])
  })

  test('is not listened to any more when that was disposed', () => {
    const { host, installed } = start()
    expect(host.eventNames()).toEqual(['SIGTERM', 'SIGINT', 'uncaughtException'])
    installed[Symbol.dispose]()
    expect(host.eventNames()).toEqual([])
  })

  test('can be chosen', () => {
    const { host } = start({ signals: ['SIGUSR2'], uncaughtErrors: 'leave' })
    expect(host.eventNames()).toEqual(['SIGUSR2'])
  })
})

describe('an uncaught error', () => {
  test('is logged, shuts down, and ends in exit code 1', async () => {
    const { clock, host, lifecycle, lines } = start()
    lifecycle.on('finish', 'requests', () => clock.sleep(500))
    const err = new Error('lost')
    host.emit('uncaughtException', err)
    expect(lines[0]).toMatchObject({ level: 'fatal', fields: { err } })
    host.emit('uncaughtException', new Error('another'))
    await clock.advance(500)
    expect(host.exits).toEqual([1])
    expect(lines.filter(({ level }) => level === 'fatal')).toHaveLength(2)
  })

  test('while a signal shuts down spoils the exit code only', async () => {
    const { clock, host, lifecycle } = start()
    lifecycle.on('finish', 'requests', () => clock.sleep(500))
    host.emit('SIGTERM')
    host.emit('uncaughtException', new Error('lost'))
    await clock.advance(500)
    expect(host.exits).toEqual([1])
  })

  test('ends the process at once if so chosen', () => {
    const { host } = start({ uncaughtErrors: 'exit' })
    host.emit('uncaughtException', new Error('lost'))
    expect(host.exits).toEqual([1])
  })

  test('that only says that a start was interrupted is none', async () => {
    const { clock, host } = start()
    host.emit('SIGTERM')
    host.emit('uncaughtException', new ClosedError('lifecycle'))
    await clock.advance(0)
    expect(host.exits).toEqual([0])
  })

  test.each([
    [new Error('no redis://:hunter2@cache'), 'redis://***@cache'],
    ['token=hunter2', 'token=***'],
  ])('goes to stderr without a logger, its secrets cut out', async (error, shown) => {
    const printed = vi.spyOn(console, 'error').mockImplementation(() => {})
    const host = new Host()
    createLifecycle({ clock: new ManualClock() }).install({ host })
    host.emit('uncaughtException', error)
    const text = String(printed.mock.calls[0]?.[0])
    expect(text).toContain(shown)
    expect(text).not.toContain('hunter2')
  })
})

describe('a real process', () => {
  test('finishes its request on SIGTERM and exits with 0', async () => {
    await using service = await launch('quick')
    service.child.kill('SIGTERM')
    expect(await service.end()).toEqual({
      code: 0,
      lines: ['stopping', 'finished', 'closed', 'flushed'],
    })
  }, 20_000)

  test('is ended at once by a second signal', async () => {
    await using service = await launch('hung')
    service.child.kill('SIGTERM')
    expect(await service.nextLine()).toBe('stopping')
    service.child.kill('SIGTERM')
    expect(await service.end()).toEqual({ code: 143, lines: [] })
  }, 20_000)

  test('shuts down on an unhandled rejection and exits with 1', async () => {
    await using service = await launch('reject')
    expect(await service.end()).toEqual({
      code: 1,
      lines: ['stopping', 'finished', 'closed', 'flushed'],
    })
  }, 20_000)
})

async function launch(mode: string) {
  const path = new URL('stopping-process.ts', import.meta.url).pathname
  const child = spawn(process.execPath, ['--conditions=@dharma/source', path, mode], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const exited = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const nextLine = async (): Promise<string> => (await lines.next()).value ?? 'nothing'
  expect(await nextLine()).toBe('ready')
  return {
    child,
    nextLine,
    async end() {
      const rest: string[] = []
      for await (const line of { [Symbol.asyncIterator]: () => lines }) rest.push(line)
      const [code] = await exited
      return { code: code as number | null, lines: rest }
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exited
    },
  }
}
