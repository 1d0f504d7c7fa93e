import { optimizePipeline, type PipelineFacts } from '@dharma/database/mongodb'
import type { Document } from 'mongodb'
import { describe, expect, it } from 'vitest'

function optimized(pipeline: Document[], facts?: PipelineFacts): Document[] {
  return optimizePipeline(pipeline, facts).pipeline
}

function ids(pipeline: Document[], facts?: PipelineFacts): string[] {
  return optimizePipeline(pipeline, facts).rewrites.map(({ id }) => id)
}

/** Those of the pipelines that do not stay as they are. */
function changedOf(...pipelines: readonly Document[][]): unknown[] {
  return pipelines.map((one) => optimizePipeline(one)).filter(({ rewrites }) => rewrites.length > 0)
}

const lookup = { $lookup: { from: 'others', localField: 'a', foreignField: 'k', as: 'j' } }

describe('optimizePipeline, of orders and limits', () => {
  it('looks up, and computes, only for what a limit leaves', () => {
    const set = { $set: { x: { $add: ['$a', 1] } } }
    const cut = [{ $sort: { a: 1 } }, { $skip: 1 }, { $limit: 2 }]
    expect(optimized([lookup, set, ...cut])).toEqual([...cut, lookup, set])
    expect(optimized([lookup, { $limit: 2 }, { $sort: { a: 1 } }])).toEqual([
      { $limit: 2 },
      lookup,
      { $sort: { a: 1 } },
    ])
    expect(
      changedOf(
        [lookup, { $sort: { j: 1 } }, { $limit: 2 }],
        [lookup, { $sort: { a: 1 } }],
        [{ $set: { 'x.y': 1 } }, { $limit: 2 }],
        [
          { $set: { x: 1 } },
          { $limit: 2 },
          { $match: { x: 2 } },
          { $match: { $expr: { $eq: [{ $size: '$b' }, 0] } } },
        ],
        [lookup, { $sort: { s: { $meta: 'textScore' } } }, { $limit: 2 }],
      ),
    ).toEqual([])
  })

  it('merges limits and skips, and drops orders that another follows', () => {
    const sort = { $sort: { a: 1 } }
    expect(optimized([{ $limit: 5 }, { $limit: 3 }])).toEqual([{ $limit: 3 }])
    expect(optimized([{ $skip: 5 }, { $skip: 0 }, { $skip: 3 }])).toEqual([{ $skip: 8 }])
    expect(optimized([{ $sort: { b: 1 } }, sort])).toEqual([sort])
    expect(optimized([sort, { $count: 'n' }])).toEqual([{ $count: 'n' }])
    expect(
      changedOf(
        [{ $limit: 5 }, { $skip: 3 }],
        [{ $skip: Number.MAX_SAFE_INTEGER }, { $skip: 1 }],
        [{ $limit: 1.5 }, { $limit: 2 }],
        [sort, { $sort: { s: { $meta: 'textScore' } } }],
        [{ $sort: 1 }, sort],
      ),
    ).toEqual([])
  })

  it('sorts by a group’s key first where an index has that order and the key is no array', () => {
    const group = { $group: { _id: '$u', last: { $first: '$x' } } }
    const pipeline = [{ $sort: { at: -1 } }, group]
    const facts: PipelineFacts = { scalars: ['u'], indexes: [{ u: -1, at: 1 }] }
    expect(optimized(pipeline, facts)).toEqual([{ $sort: { u: 1, at: -1 } }, group])
    expect(optimized(pipeline, { ...facts, indexes: [{ u: -1, at: -1 }] })[0]).toEqual({
      $sort: { u: -1, at: -1 },
    })
    for (const other of [
      {},
      { scalars: ['u'] },
      { indexes: facts.indexes ?? [] },
      { scalars: ['u'], indexes: [{ at: -1, u: 1 }, { u: 1 }] as const },
    ]) {
      expect(optimized(pipeline, other)).toEqual(pipeline)
    }
    const count = { $group: { _id: '$u', n: { $sum: 1 } } }
    for (const unfit of [
      [{ $sort: { at: -1 } }, count],
      [{ $sort: { u: 1, at: -1 } }, group],
      [{ $sort: { at: -1 } }, { $group: { _id: { u: '$u' } } }],
      [{ $sort: { at: -1 } }, { $count: 'n' }],
      [{ $set: { u: ['$u', '$x'] } }, { $sort: { at: -1 } }, group],
      [{ $unionWith: 'others' }, { $sort: { at: -1 } }, group],
    ]) {
      expect(ids(unfit, facts)).not.toContain('sort-led-by-group-key')
    }
  })
})
