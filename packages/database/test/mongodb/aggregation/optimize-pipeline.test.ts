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
const match = (filter: Document): Document => ({ $match: filter })

describe('optimizePipeline', () => {
  it('moves filters ahead of stages that do not touch what they look at', () => {
    for (const stage of [
      { $sort: { b: 1 } },
      { $set: { b: 1 } },
      { $addFields: { b: 1 } },
      { $unset: 'b' },
      { $unset: ['b', 'c'] },
      { $project: { a: 1, b: { $add: [1, 2] } } },
      { $project: { b: 0 } },
      { $unwind: '$b' },
      { $unwind: { path: '$b', includeArrayIndex: 'c' } },
      { $lookup: { from: 'others', localField: 'a', foreignField: 'k', as: 'b' } },
      { $graphLookup: { from: 'others', startWith: '$a', as: 'b' } },
    ]) {
      const filter = match({ $or: [{ a: { $not: { $gt: 1 } } }, { 'a.x': /x/ }], $comment: 'c' })
      expect(optimized([stage, filter])).toEqual([filter, stage])
    }
  })

  it('moves of a filter what can go, and leaves the rest', () => {
    const stage = { $set: { b: '$c' } }
    const pipeline = [stage, match({ a: 1, b: { $type: 'int' }, x: { $elemMatch: { y: 1 } } })]
    expect(optimized(pipeline)).toEqual([
      match({ a: 1, c: { $type: 'int' }, x: { $elemMatch: { y: 1 } } }),
      stage,
    ])
    const computed = { $set: { b: { $add: ['$c', 1] } } }
    expect(optimized([computed, match({ a: 1, 'b.x': 2 })])).toEqual([
      match({ a: 1 }),
      computed,
      match({ 'b.x': 2 }),
    ])
    const renaming = { $project: { b: '$c', a: 1 } }
    expect(optimized([renaming, match({ 'b.x': 2 })])).toEqual([match({ 'c.x': 2 }), renaming])
  })

  it('does not move a filter whose meaning would change, or that could fail', () => {
    expect(
      changedOf(
        [{ $limit: 5 }, match({ a: 1 })],
        [{ $project: { b: 1 } }, match({ a: 1 })],
        [{ $project: { b: { c: 0 } } }, match({ b: 1 })],
        [{ $project: { b: 0, c: 1 } }, match({ a: 1 })],
        [{ $set: { 'a.b': 1 } }, match({ 'a.c': 1 })],
        [{ $unwind: '$a' }, match({ a: 1 })],
        [{ $set: { b: 1 } }, match({ $where: 'true' })],
        [{ $set: { b: 1 } }, match({ a: { $near: [0, 0] } })],
        [{ $set: { b: 1 } }, match({ $expr: { $eq: [{ $size: '$a' }, 1] } })],
        [{ $set: { b: 1 } }, match({ $expr: { $eq: ['$$ROOT.b', 1] } })],
        [{ $set: { b: 1 } }, match({ $expr: { $eq: ['$$ROOT', 1] } })],
        [{ $set: { b: 1 } }, match({ a: 1, $expr: { $gt: [{ $add: ['$a', 1] }, 1] } })],
        [{ $set: { b: 1 } }, match({ $or: 1 })],
        [{ $sample: { size: 1 } }, match({ a: 1 })],
      ),
    ).toEqual([])
  })

  it('does not put a filter where the server would move it past a change within its field', () => {
    for (const stage of [
      { $set: { 'a.x': 1 } },
      { $unset: 'a.x' },
      { $unwind: '$a.x' },
      { $lookup: { from: 'others', localField: 'b', foreignField: 'k', as: 'a.x' } },
      { $set: { a: { x: 1 } } },
    ]) {
      expect(changedOf([stage, { $sort: { b: 1 } }, match({ 'a.y': 1 })])).toEqual([])
    }
  })

  it('moves comparisons of a group’s key ahead of the group, and nothing else', () => {
    const group = { $group: { _id: '$a', n: { $sum: 1 } } }
    expect(optimized([group, match({ _id: { $gte: 1, $in: [1, 'x'] } })])).toEqual([
      match({ a: { $gte: 1, $in: [1, 'x'] } }),
      group,
    ])
    const date = new Date(0)
    expect(ids([group, match({ _id: date })])).toEqual(['match-before-group'])
    expect(
      changedOf(
        [group, match({ _id: null })],
        [group, match({ _id: { $in: [null] } })],
        [group, match({ _id: { $type: 'int' } })],
        [group, match({ _id: {} })],
        [group, match({ '_id.x': 1 })],
        [group, match({ n: 1 })],
        [{ $group: { _id: { x: '$a' } } }, match({ _id: 1 })],
        [{ $group: { _id: '$a.b' } }, match({ _id: 1 })],
      ),
    ).toEqual([])
  })

  it('hoists what every branch of a facet wants, or that any wants it', () => {
    const limit = { $limit: 1 }
    const facet = {
      $facet: {
        x: [match({ a: 1, b: 1 }), limit],
        y: [match({ b: 2, a: 1 })],
        z: [match({ a: 1 })],
      },
    }
    expect(optimized([{ $sort: { c: 1 } }, facet])).toEqual([
      match({ a: 1 }),
      { $sort: { c: 1 } },
      { $facet: { x: [match({ b: 1 }), limit], y: [match({ b: 2 })], z: [match({})] } },
    ])
    const different = { $facet: { x: [match({ a: 1 })], y: [match({ b: 1 })] } }
    expect(optimized([different])).toEqual([match({ $or: [{ a: 1 }, { b: 1 }] }), different])
    expect(
      changedOf(
        [{ $facet: { x: [match({ a: 1 })], y: [limit] } }],
        [{ $facet: { x: [match({ a: 1 })], y: [match({ $where: 'true' })] } }],
        [
          {
            $facet: {
              x: [match({ a: 1, $expr: { $eq: [{ $size: '$b' }, 0] } })],
              y: [match({ a: 1 })],
            },
          },
        ],
        [match({ $expr: { $eq: [{ $size: '$b' }, 0] } }), { $facet: { x: [match({ a: 1 })] } }],
        [{ $facet: {} }],
        [{ $facet: 1 }],
      ),
    ).toEqual([])
    expect(optimized([{ $facet: { x: [{ $skip: 0 }] } }])).toEqual([{ $facet: { x: [match({})] } }])
  })

  it('optimizes the pipelines within a pipeline', () => {
    const inner = [{ $sort: { a: 1 } }, match({ b: 1 })]
    const better = [match({ b: 1 }), { $sort: { a: 1 } }]
    const union = { $unionWith: { coll: 'others', pipeline: inner } }
    const { pipeline, rewrites } = optimizePipeline([union])
    expect(pipeline).toEqual([{ $unionWith: { coll: 'others', pipeline: better } }])
    expect(rewrites[0]?.path).toEqual([0, 'pipeline', 0])
    expect(
      changedOf([{ $unionWith: 'others' }], [{ $unionWith: { coll: 'x', pipeline: 1 } }]),
    ).toEqual([])
  })

  it('drops a joined field that nobody uses', () => {
    for (const rest of [
      [{ $project: { a: 1 } }],
      [{ $group: { _id: '$a' } }],
      [{ $count: 'n' }],
      [{ $sortByCount: '$a' }],
      [{ $replaceWith: { a: '$a' } }],
      [{ $unset: 'j' }, { $set: { b: 1 } }],
      [{ $project: { j: 0 } }, { $unset: 'j' }, { $count: 'n' }],
      [{ $unwind: '$b' }, { $unset: ['j'] }],
      [{ $set: { j: 1 } }],
      [{ $sort: { a: 1 } }, lookup],
      [{ $facet: { x: [{ $count: 'n' }], y: [{ $project: { b: 1 } }] } }],
      [{ $unionWith: 'others' }, { $unset: 'j' }, { $project: { a: 1 } }],
      [{ $group: { _id: null, top: { $top: { sortBy: { a: 1 }, output: '$b' } } } }],
      [{ $project: { j: { $literal: '$j' } } }],
    ]) {
      expect(ids([lookup, ...rest]).slice(0, 1)).toEqual(['lookup-dropped'])
    }
  })

  it('keeps a joined field that may be used', () => {
    for (const rest of [
      [],
      [match({ j: [] })],
      [{ $unwind: '$j' }, { $project: { a: 1 } }],
      [{ $unwind: { path: '$b', includeArrayIndex: 'j' } }, { $project: { a: 1 } }],
      [{ $project: { n: { $size: '$j' } } }],
      [{ $project: { x: { $getField: 'j' } } }],
      [{ $project: { x: '$$ROOT' } }],
      [{ $project: { x: '$$CURRENT.j' } }],
      [{ $project: { j: { x: 0 } } }],
      [{ $project: { a: 0 } }],
      [{ $group: { _id: null, top: { $top: { sortBy: { j: 1 }, output: '$b' } } } }],
      [{ $sort: { 'j.x': 1 } }, { $unset: 'j' }],
      [{ $sort: { s: { $meta: 'textScore' } } }, { $unset: 'j' }],
      [{ $unset: 'j.x' }],
      [{ $set: { 'j.x': 1 } }, { $unset: 'j' }],
      [{ $set: { j: { x: 1 } } }],
      [{ $set: { b: 1 } }, { $set: { j: 1 } }],
      [{ $unset: 'j' }, { $set: { j: 1 } }],
      [{ $set: 1 }, { $count: 'n' }],
      [{ $lookup: { from: 'x', localField: 'j', foreignField: 'k', as: 'l' } }, { $unset: 'j' }],
      [{ $lookup: { from: 'x', let: { v: '$j' }, pipeline: [], as: 'l' } }, { $unset: 'j' }],
      [{ $facet: { x: [{ $count: 'n' }], y: [{ $limit: 1 }] } }],
      [{ $facet: { x: 1 } }],
      [{ $facet: 1 }],
      [{ $out: 'x' }],
      [{ $setWindowFields: {} }, { $count: 'n' }],
    ]) {
      expect(ids([lookup, ...rest])).not.toContain('lookup-dropped')
    }
    const within = { $lookup: { from: 'x', localField: 'a', foreignField: 'k', as: 'j.x' } }
    expect(changedOf([within, { $unset: 'j' }], [{ $lookup: 1 }, { $count: 'n' }])).toEqual([])
  })

  it('adds to an equality of an expression the filter that an index can answer', () => {
    const equality = { $expr: { $eq: ['$a.b', 5] } }
    expect(optimized([match(equality)])).toEqual([match({ 'a.b': { $eq: 5 }, ...equality })])
    expect(ids([match(equality)])).toEqual(['expr-equality-prefiltered'])
    const facts: PipelineFacts = { scalars: ['a.b'] }
    expect(optimized([match(equality)], facts)).toEqual([match({ 'a.b': { $eq: 5 } })])
    expect(ids([match(equality)], facts)).toEqual(['expr-equality-made-plain'])
    const both = { 'a.b': { $eq: 5 }, ...equality }
    expect(optimized([match(both)], facts)).toEqual([match({ 'a.b': { $eq: 5 } })])
    expect(
      optimized([match({ $expr: { $in: ['$a', [1, { $literal: '$x' }]] } })])[0],
    ).toMatchObject({ $match: { a: { $in: [1, '$x'] } } })
    expect(
      optimized([match({ $expr: { $and: [{ $eq: [true, '$a'] }, { $eq: ['$b', 'x'] }] } })])[0],
    ).toMatchObject({ $match: { $and: [{ a: { $eq: true } }, {}, { b: { $eq: 'x' } }, {}] } })
  })

  it('leaves an expression alone that a filter cannot stand for', () => {
    expect(
      changedOf(
        ...[
          { $eq: ['$a', null] },
          { $eq: ['$a', '$b'] },
          { $eq: ['$$v', 5] },
          { $eq: ['$a.0', 5] },
          { $eq: ['$a', [1]] },
          { $eq: ['$a', /x/] },
          { $eq: ['$a', Number.NaN] },
          { $gt: ['$a', 5] },
          { $in: ['$a', '$b'] },
          { $in: ['$a', [null]] },
          { $in: ['$a', [/x/]] },
          { $eq: 5 },
          { $eq: ['$a'] },
          { $and: [] },
        ].map((expression) => [match({ $expr: expression })]),
        [match({ $expr: '$a' })],
        [{ $limit: 5 }, match({ $expr: { $eq: ['$a', 5] } })],
      ),
    ).toEqual([])
  })

  it('merges filters, once each, and drops those that want nothing', () => {
    expect(optimized([match({ a: 1 }), match({ b: 1 }), match({ a: 1 }), match({})])).toEqual([
      match({ a: 1, b: 1 }),
    ])
    expect(optimized([match({ a: 1 }), match({ $and: [{ a: { $gt: 0 } }] })])).toEqual([
      match({ $and: [{ a: 1 }, { a: { $gt: 0 } }] }),
    ])
    expect(changedOf([match({ $text: { $search: 'x' } }), match({ a: 1 })])).toEqual([])
  })

  it('leaves alone what it does not know', () => {
    expect(
      changedOf(
        [{ $sort: { a: 1 }, $limit: 1 }],
        [{}],
        [{ $sort: { a: 1 } }, match({ a: undefined })],
      ),
    ).toEqual([])
    expect(
      changedOf(
        [{ $match: [] }],
        [{ $project: 1 }, match({ a: 1 })],
        [{ $lookup: 1 }, match({ a: 1 })],
      ),
    ).toEqual([])
  })
})
