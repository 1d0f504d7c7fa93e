import { execFile } from 'node:child_process'
import { chown, copyFile, chmod, mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { PostgresManager, PostgresQueryError } from '@dharma/database/postgres'
import { startFaultProxy, startPostgres, type TestServer } from '@dharma/testkit'
import { describeWithPostgres } from '@dharma/testkit/vitest'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { Load } from './load.ts'

const run = promisify(execFile)
const READ = 'select n from points where id = $1'

/** A file system of 24 MB, where this process may make one. */
async function mountSmall(folder: string): Promise<boolean> {
  return run('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', folder]).then(
    () => true,
    () => false,
  )
}

const smallFolder = await mkdtemp(join(tmpdir(), 'dharma-small-'))
const isSmall = await mountSmall(smallFolder)
if (!isSmall) {
  // A right that containers often lack, also in CI; what can be had without it, copy.fault.test.ts has.
  console.warn(
    'SKIPPED, for this process may not mount: the tests that fill a disk. Run them as root.',
  )
}

describeWithPostgres.each([15, 18])('faults of the server, PostgreSQL %i', (version) => {
  let server: TestServer
  let control: PostgresManager
  const rejections: unknown[] = []
  const note = (reason: unknown): void => void rejections.push(reason)

  beforeAll(async () => {
    process.on('unhandledRejection', note)
    server = await startPostgres({ dedicated: true, version })
    control = new PostgresManager({ url: server.url, pipeline: false, applicationName: 'control' })
    await control.query('create table points (id int primary key, n int not null)')
    await control.query('insert into points select i, 0 from generate_series(1, 100) i')
  })

  afterAll(async () => {
    process.off('unhandledRejection', note)
    await control.close()
    await server.close()
  })

  beforeEach(() => {
    rejections.length = 0
  })

  afterEach(() => {
    // eslint-disable-next-line vitest/no-standalone-expect -- this holds for each of them
    expect(rejections).toEqual([])
  })

  function urlWith(change: (url: URL) => void): string {
    const url = new URL(server.url)
    change(url)
    return url.href
  }

  async function errorOf(database: PostgresManager, text = 'select 1'): Promise<unknown> {
    return database.query(text).catch((thrown: unknown) => thrown)
  }

  function shown(error: unknown): string {
    const parts: string[] = []
    for (let each = error; each instanceof Error; each = each.cause) {
      parts.push(String(each), JSON.stringify(each, Object.getOwnPropertyNames(each)))
    }
    return parts.join(' ')
  }

  it('says at once that a password is wrong, and never shows it', async () => {
    const url = urlWith((each) => {
      each.password = 'hunter2'
    })
    await using database = new PostgresManager({ url })
    const startedMs = performance.now()
    const error = await errorOf(database)
    expect(performance.now() - startedMs).toBeLessThan(2_000)
    expect(error).toMatchObject({ code: 'DHARMA_POSTGRES_CONNECTION', sqlState: '28P01' })
    expect(shown(error)).not.toContain('hunter2')
    await expect(database.transaction(async () => 1)).rejects.toMatchObject({ sqlState: '28P01' })
    await expect(database.listen('news', () => undefined)).rejects.toMatchObject({
      sqlState: '28P01',
    })
  })

  it('says at once that a database is missing, and works when it is there', async () => {
    const name = `late_${version}`
    const url = urlWith((each) => {
      each.pathname = `/${name}`
    })
    await using database = new PostgresManager({ url })
    expect(await errorOf(database)).toMatchObject({
      code: 'DHARMA_POSTGRES_CONNECTION',
      sqlState: '3D000',
    })
    await control.query(`create database ${name}`)
    const works = (): Promise<unknown> =>
      database.query('select 1').then(
        () => true,
        () => false,
      )
    await expect.poll(works, { timeout: 10_000 }).toBe(true)
    await database.close()
    await control.query(`drop database ${name} with (force)`)
  })

  it('says at once that the server does not encrypt, and encrypts when it does', async () => {
    await using plain = new PostgresManager({ url: server.url, tls: true })
    expect(await errorOf(plain)).toMatchObject({
      code: 'DHARMA_POSTGRES_CONNECTION',
      message: expect.stringContaining('does not support SSL'),
    })
    const { certFile, otherFile } = await encryptServer()
    const ca = await readFile(certFile, 'utf8')
    await using database = new PostgresManager({ url: server.url, tls: { ca } })
    const { rows } = await database.query<{ ssl: boolean }>(
      'select ssl from pg_stat_ssl where pid = pg_backend_pid()',
    )
    expect(rows).toEqual([{ ssl: true }])
    // Its statements can be cancelled too.
    const asleep = database.query('select pg_sleep(30) /* encrypted */', [], { timeoutMs: 200 })
    await expect(asleep).rejects.toMatchObject({ code: 'DHARMA_POSTGRES_TIMEOUT' })
    await expect
      .poll(async () => {
        const active = await control.query(
          `select from pg_stat_activity where state = 'active' and query like '%encrypted */'`,
        )
        return active.rowCount
      })
      .toBe(0)
    await using distrustful = new PostgresManager({
      url: server.url,
      tls: { ca: await readFile(otherFile, 'utf8') },
    })
    expect(await errorOf(distrustful)).toMatchObject({
      code: 'DHARMA_POSTGRES_CONNECTION',
      message: expect.stringContaining('certificate'),
    })
    expect(() => new PostgresManager({ url: `${server.url}?sslmode=require`, tls: true })).toThrow(
      TypeError,
    )
  })

  /** Gives the server a certificate of its own, and makes another that it has not. */
  async function encryptServer(): Promise<{ certFile: string; otherFile: string }> {
    const folder = await mkdtemp(join(tmpdir(), 'dharma-pg-tls-'))
    const certify = async (name: string): Promise<{ key: string; cert: string }> => {
      const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)]
      const made = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1'
      const about = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1']
      await run('openssl', [...made.split(' '), ...about, '-keyout', key, '-out', cert])
      return { key, cert }
    }
    const [own, other] = [await certify('own'), await certify('other')]
    const { rows } = await control.query<{ data: string }>(
      `select current_setting('data_directory') as data`,
    )
    const data = rows[0]?.data ?? ''
    const { uid, gid } = await stat(data)
    for (const [from, name] of [
      [own.key, 'server.key'],
      [own.cert, 'server.crt'],
    ] as const) {
      await copyFile(from, join(data, name))
      await chown(join(data, name), uid, gid)
      await chmod(join(data, name), 0o600)
    }
    await control.query('alter system set ssl = on')
    await control.query('select pg_reload_conf()')
    await expect
      .poll(async () => (await control.query<{ ssl: string }>('show ssl')).rows[0]?.ssl)
      .toBe('on')
    return { certFile: own.cert, otherFile: other.cert }
  }

  it('passes on that the server itself ended a statement, and works on', async () => {
    await using database = new PostgresManager({ url: server.url, pool: { max: 1 } })
    await database.query(`set statement_timeout = 50`)
    const error = await errorOf(database, 'select pg_sleep(10)')
    expect(error).toBeInstanceOf(PostgresQueryError)
    expect(error).toMatchObject({ sqlState: '57014' })
    expect((await database.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  it('tells of a transaction whose failed statement was swallowed that it was undone', async () => {
    const half = control.transaction(async (transaction) => {
      await transaction.query('update points set n = 7 where id = 1')
      await transaction.query('select 1 / 0').catch(() => undefined)
    })
    await expect(half).rejects.toMatchObject({ sqlState: '25P02' })
    expect((await control.query(READ, [1])).rows).toEqual([{ n: 0 }])
  })

  it.runIf(isSmall)(
    'stores nothing of a COPY that fills the disk (needs the right to mount)',
    async () => {
      const folder = join(smallFolder, String(version))
      const { rows } = await control.query<{ data: string }>(
        `select current_setting('data_directory') as data`,
      )
      const { uid, gid } = await stat(rows[0]?.data ?? '')
      await chown(smallFolder, uid, gid)
      await mkdir(folder)
      await chown(folder, uid, gid)
      await control.query(`create tablespace small location '${folder}'`)
      await control.query('create table filling (id int, body text) tablespace small')
      await control.query('alter table filling alter column body set storage external')
      function* source(): Generator<{ id: number; body: string }> {
        for (let id = 0; id < 40_000; id++) yield { id, body: String(id).padEnd(1_500, 'x') }
      }
      await expect(control.copyInto('filling', source())).rejects.toMatchObject({
        sqlState: '53100',
      })
      expect((await control.query('select from filling')).rowCount).toBe(0)
      await control.query('drop table filling')
      await control.query('drop tablespace small')
    },
  )

  it('begins a transaction anew on another session when its first one was gone', async () => {
    await using database = new PostgresManager({
      url: server.url,
      pool: { max: 4 },
      pipeline: false,
      applicationName: 'doomed',
    })
    const add = (caller: number): Promise<unknown> => {
      return database.transaction(async (transaction) => {
        await transaction.query('update points set n = n + 1 where id = $1', [caller + 1])
      })
    }
    const load = new Load(4, add)
    for (let round = 0; round < 10; round++) {
      const before = load.answered
      await expect
        .poll(() => load.answered, { interval: 5, timeout: 20_000 })
        .toBeGreaterThan(before + 10)
      await control.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'doomed'`,
      )
    }
    await load.end()
    for (const error of load.errors) {
      expect(error).toMatchObject({ code: 'DHARMA_POSTGRES_CONNECTION' })
    }
    const { rows } = await control.query<{ n: number }>('select sum(n)::int as n from points')
    expect(rows[0]?.n).toBeGreaterThanOrEqual(load.answered)
    expect(rows[0]?.n).toBeLessThanOrEqual(load.answered + load.errors.length)
  })

  it('refuses at once, with the reason, while a frozen server has been away for too long', async () => {
    await using database = new PostgresManager({
      url: server.url,
      connectTimeoutMs: 500,
      outageWaitMs: 300,
    })
    await database.query(READ, [1])
    await server.stop()
    try {
      await database.query(READ, [1], { timeoutMs: 200 }).catch(() => undefined)
      const refused = (): Promise<unknown> => {
        return database.query(READ, [1], { timeoutMs: 5_000 }).catch((thrown: unknown) => thrown)
      }
      await expect.poll(refused, { timeout: 20_000 }).toMatchObject({
        code: 'DHARMA_POSTGRES_UNAVAILABLE',
        server: `${server.host}:${server.port}`,
      })
      const startedMs = performance.now()
      await Promise.all(Array.from({ length: 100 }, refused))
      expect(performance.now() - startedMs).toBeLessThan(1_000)
    } finally {
      await server.cont()
    }
    const works = (): Promise<unknown> =>
      database.query(READ, [1]).then(
        () => true,
        () => false,
      )
    await expect.poll(works, { timeout: 10_000 }).toBe(true)
  })

  it('waits for a server that restarts, and loses nothing that was not sent', async () => {
    await using proxy = await startFaultProxy({ host: server.host, port: server.port })
    await using database = new PostgresManager({
      url: server.urlThrough(proxy),
      outageWaitMs: 20_000,
    })
    await database.query('update points set n = 0 where id = 60')
    await server.restart()
    const writes = Array.from({ length: 20 }, () => {
      return database.query('update points set n = n + 1 where id = 60')
    })
    await Promise.all(writes)
    expect((await database.query(READ, [60])).rows).toEqual([{ n: 20 }])
  })
})

afterAll(async () => {
  if (isSmall) await run('umount', [smallFolder])
  await rm(smallFolder, { recursive: true })
})
