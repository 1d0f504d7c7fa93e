import { createMetrics } from '@dharma/core/metrics'
import {
  MongoManager,
  type MongoManagerOptions,
  type MongoTransactionOutcome,
  type ObservedOperation,
} from '@dharma/database/mongodb'
import { createMongoDatabase, type FreshDatabase } from '@dharma/testkit'
import { describeWithMongo } from '@dharma/testkit/vitest'
import { MongoServerError, type Document } from 'mongodb'
import { afterAll, beforeAll, beforeEach, expect, inject, it } from 'vitest'

describeWithMongo('operations of a manager', () => {
  let fresh: FreshDatabase
  let database: MongoManager

  beforeAll(async () => {
    fresh = createMongoDatabase(inject('mongoUrl'))
    database = await open({})
  })

  beforeEach(async () => {
    await database.deleteMany('posts', {})
    await database.insertMany(
      'posts',
      [1, 2, 3].map((n) => ({ n, tags: ['a', `t${n}`] })),
    )
  })

  afterAll(async () => {
    await database.close()
    await fresh.drop()
  })

  function open(options: Partial<MongoManagerOptions>): Promise<MongoManager> {
    return new MongoManager({ url: fresh.url, ...options }).connect()
  }

  it('counts, lists values, changes, replaces and deletes', async () => {
    expect(await database.countDocuments('posts', { n: { $gt: 1 } })).toBe(2)
    expect(await database.distinct('posts', 'tags')).toEqual(['a', 't1', 't2', 't3'])
    const inc = { $inc: { n: 10 } }
    expect(await database.updateMany('posts', { n: { $lt: 3 } }, inc)).toEqual({
      matched: 2,
      modified: 2,
    })
    const upserted = await database.updateOne(
      'posts',
      { n: 7 },
      { $set: { x: 1 } },
      { upsert: true },
    )
    expect(upserted).toMatchObject({ matched: 0, modified: 0, upsertedId: expect.anything() })
    expect(await database.replaceOne('posts', { n: 7 }, { n: 8 })).toMatchObject({ modified: 1 })
    expect(
      await database.findOneAndUpdate('posts', { n: 8 }, { $set: { x: 2 } }, { sort: { n: 1 } }),
    ).toMatchObject({ n: 8, x: 2 })
    expect(await database.findOneAndUpdate('posts', { n: 99 }, { $set: { x: 2 } })).toBeUndefined()
    expect(await database.deleteOne('posts', { n: 8 })).toBe(1)
    expect(await database.deleteMany('posts', {})).toBe(3)
    expect(await database.insertOne('posts', { _id: 'mine' })).toBe('mine')
    await database.ping()
  })

  it('streams documents in batches and ends its cursor when the loop is left', async () => {
    await database.insertMany(
      'posts',
      Array.from({ length: 500 }, (_, n) => ({ n })),
    )
    let seen = 0
    for await (const { n } of database.stream('posts', { n: { $gte: 0 } }, { batchSize: 50 })) {
      expect(n).toBeTypeOf('number')
      if (++seen === 120) break
    }
    expect(seen).toBe(120)
    expect(await Array.fromAsync(database.stream('posts', { n: -1 }))).toEqual([])
  })

  it('says how far a stream had come when the server ended its cursor', async () => {
    await database.insertMany(
      'posts',
      Array.from({ length: 100 }, (_, n) => ({ n })),
    )
    let seen = 0
    const reading = (async (): Promise<void> => {
      for await (const document of database.stream(
        'posts',
        {},
        { batchSize: 10, comment: fresh.name },
      )) {
        expect(document).toHaveProperty('n')
        if (++seen !== 10) continue
        const admin = database.database.client.db('admin')
        const idle = { $currentOp: { idleCursors: true } }
        const [op] = await admin
          .aggregate([idle, { $match: { 'cursor.originatingCommand.comment': fresh.name } }])
          .toArray()
        const cursors = [((op?.['cursor'] ?? {}) as Document)['cursorId'] as unknown]
        await database.database.command({ killCursors: 'posts', cursors })
      }
    })()
    await expect(reading).rejects.toMatchObject({
      code: 'DHARMA_MONGO_CURSOR_LOST',
      delivered: 10,
    })
    expect(seen).toBe(10)
    expect(await database.countDocuments('posts')).toBe(103)
  })

  it('ends an operation at its deadline, on the server too', async () => {
    const slow = { $where: 'sleep(200) || true' }
    const reading = database.find('posts', slow, { timeoutMs: 50 })
    await expect(reading).rejects.toMatchObject({ code: 'DHARMA_TIMEOUT', timeoutMs: 50 })
    const limited = database.find('posts', slow, { maxTimeMS: 20 })
    await expect(limited).rejects.toMatchObject({ code: 'DHARMA_TIMEOUT' })
  })

  it('ends the wait when the caller’s signal aborts', async () => {
    const abort = new AbortController()
    const reading = database.find(
      'posts',
      { $where: 'sleep(100) || true' },
      { signal: abort.signal },
    )
    abort.abort('enough')
    await expect(reading).rejects.toThrow('enough')
    await expect(database.find('posts', {}, { signal: abort.signal })).rejects.toBe('enough')
  })

  it('tells observers of each operation and transaction before its caller', async () => {
    await using observed = await open({})
    const seen: ObservedOperation[] = []
    const outcomes: MongoTransactionOutcome[] = []
    const observing = observed.observe({
      onOperation(operation) {
        seen.push(operation)
        return operation.isWrite ? Promise.resolve() : undefined
      },
      async onTransactionEnd(_session, outcome) {
        outcomes.push(outcome)
      },
    })
    await observed.find('posts', { n: 1 })
    await observed.updateOne('posts', { n: 1 }, { $set: { x: 1 } })
    await observed.aggregate('posts', [{ $match: { n: 1 } }, { $out: 'copies' }])
    await observed.insertMany('posts', [{ n: 4 }, { n: 5 }])
    await Array.fromAsync(observed.stream('posts', { n: 1 }))
    await expect(observed.find('posts', { $bad: 1 })).rejects.toThrow('posts')
    await observed.transaction(async (session) => {
      await observed.insertOne('posts', { n: 6 }, { session })
    })
    const failing = observed.transaction(async () => Promise.reject(new Error('no')))
    await expect(failing).rejects.toThrow('no')
    observing[Symbol.dispose]()
    await observed.find('posts')
    const told = seen.map(({ operation, isWrite, documentCount }) => [
      operation,
      isWrite,
      documentCount,
    ])
    expect(told).toEqual([
      ['find', false, 1],
      ['updateOne', true, 1],
      ['aggregate', true, 0],
      ['insertMany', true, 2],
      ['stream', false, 1],
      ['find', false, undefined],
      ['insertOne', true, 1],
      ['transaction', false, 0],
      ['transaction', false, undefined],
    ])
    expect(seen[0]?.query).toEqual({ n: 1 })
    expect(seen[6]?.session).toBeDefined()
    expect(seen[5]?.error).toMatchObject({ code: 'DHARMA_MONGO_OPERATION' })
    expect(outcomes).toEqual(['committed', 'rolled back'])
  })

  it('counts what it does, streams and failures included', async () => {
    const metrics = createMetrics()
    await using measured = await open({ metrics })
    await measured.find('posts')
    await Array.fromAsync(measured.stream('posts'))
    await expect(Array.fromAsync(measured.stream('posts', { $bad: 1 }))).rejects.toThrow('posts')
    const text = await metrics.expose()
    expect(text).toMatch(/operation_seconds_count\{operation="find",collection="posts"\} 1/)
    expect(text).toMatch(/operation_seconds_count\{operation="stream",collection="posts"\} 2/)
    expect(text).toMatch(/operation_errors_total\{operation="stream",collection="posts"\} 1/)
  })

  it('reads and writes as durably and consistently as it is told', async () => {
    for (const consistency of ['local', 'majority', 'linearizable', 'secondary'] as const) {
      for (const durability of ['majority', 'journaled', 'memory'] as const) {
        await using told = await open({ consistency, durability })
        await told.insertOne('posts', { n: 9 })
        const found = await told.find('posts', { n: 9 })
        // What is not yet on a majority need not be seen by a read that wants what stays.
        const mayMiss = durability !== 'majority' && consistency === 'majority'
        expect(found.length).toBeGreaterThanOrEqual(mayMiss ? 0 : 1)
        await told.transaction((session) =>
          told.updateOne('posts', { n: 9 }, { $set: { n: 0 } }, { session }),
        )
      }
    }
    expect(() => new MongoManager({ url: fresh.url, durability: 'none' as never })).toThrow(
      'durability',
    )
  })

  it('commits what a transaction did, or nothing', async () => {
    const move = async (shallFail: boolean): Promise<string> => {
      return database.transaction(async (session) => {
        await database.updateOne('posts', { n: 1 }, { $inc: { n: 100 } }, { session })
        await database.bulkWrite('posts', [{ insertOne: { document: { n: 50 } } }], { session })
        await database.insertMany('posts', [{ n: 51 }], { session })
        if (shallFail) throw new Error('changed my mind')
        return 'done'
      })
    }
    await expect(move(true)).rejects.toThrow('changed my mind')
    expect(await database.countDocuments('posts')).toBe(3)
    expect(await move(false)).toBe('done')
    expect(await database.countDocuments('posts')).toBe(5)
  })

  it('runs transactions again that met one another, until all are done', async () => {
    await database.insertOne('posts', { _id: 'counter', n: 0 })
    const filter: Document = { _id: 'counter' }
    const work = Array.from({ length: 8 }, () =>
      database.transaction(async (session) => {
        const found = await database.findOne('posts', filter, { session })
        const n = (found?.['n'] as number) + 1
        await database.updateOne('posts', filter, { $set: { n } }, { session })
      }),
    )
    await Promise.all(work)
    expect(await database.findOne('posts', filter)).toMatchObject({ n: 8 })
  })

  it('gives a transaction up at its deadline, or when its caller does', async () => {
    const forever = (): Promise<never> => new Promise(() => undefined)
    const late = database.transaction(forever, { timeoutMs: 50 })
    await expect(late).rejects.toMatchObject({ code: 'DHARMA_TIMEOUT' })
    const abort = new AbortController()
    const left = database.transaction(forever, { signal: abort.signal })
    abort.abort(new Error('left'))
    await expect(left).rejects.toThrow('left')
    await expect(database.transaction(forever, { signal: abort.signal })).rejects.toThrow('left')
    const again = database.transaction(
      () => {
        throw new MongoServerError({ errorLabels: ['TransientTransactionError'], message: 'again' })
      },
      { timeoutMs: 60 },
    )
    await expect(again).rejects.toThrow(/server error|did not end/)
  })

  it('shows a pipeline before and after, with what each costs', async () => {
    await database.collection('posts').createIndex({ n: 1 })
    const pipeline = [
      { $lookup: { from: 'others', localField: 'n', foreignField: 'n', as: 'others' } },
      { $match: { n: 2 } },
      { $project: { n: 1 } },
    ]
    const { rewrites, before, after } = await database.explainAggregation('posts', pipeline)
    expect(rewrites.map(({ id }) => id)).toEqual(['match-before-lookup', 'lookup-dropped'])
    expect(after.pipeline).toEqual([{ $match: { n: 2 } }, { $project: { n: 1 } }])
    expect(after.indexes).toEqual(['n_1'])
    expect(after.docsExamined).toBeLessThanOrEqual(before.docsExamined)
    expect(after.explain).toHaveProperty('ok', 1)
    const optimized = await database.aggregate('posts', pipeline, { optimize: true })
    expect(optimized).toEqual(await database.aggregate('posts', pipeline))
    const same = await database.explainAggregation('posts', [{ $match: { n: 1 } }])
    expect(same.after).toBe(same.before)
    const writing = database.explainAggregation('posts', [{ $out: 'copies' }])
    await expect(writing).rejects.toThrow('$out')
  })
})
