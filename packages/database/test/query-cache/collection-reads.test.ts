import { expect, it } from 'vitest'
import {
  readsOfPipeline,
  refusalOfValue,
  targetsOfPipeline,
} from '../../src/query-cache/collection-reads.ts'

it('finds the collections of stages within stages', () => {
  const pipeline = [
    { $match: { name: 'x' } },
    { $lookup: { from: 'a', pipeline: [{ $unionWith: 'b' }], as: 'x' } },
    { $unionWith: { coll: 'c', pipeline: [{ $lookup: { from: 'd', as: 'y' } }] } },
    { $unionWith: { pipeline: [{ $documents: [{ x: 1 }] }] } },
    { $graphLookup: { from: 'e', startWith: '$x', as: 'z' } },
    { $facet: { one: [{ $lookup: { from: 'f', as: 'f' } }], two: [{ $count: 'n' }] } },
  ]
  expect(readsOfPipeline('posts', pipeline)).toEqual({
    kind: 'reads',
    collections: ['posts', 'a', 'b', 'c', 'd', 'e', 'f'],
  })
})

it.each([
  [[{ $out: 'x' }], 'it writes'],
  [[{ $merge: { into: 'x' } }], 'it writes'],
  [[{ $sample: { size: 1 } }], 'stage $sample depends on more than documents'],
  [[{ $currentOp: {} }], 'stage $currentOp depends on more than documents'],
  [[{ $facet: { x: [{ $sample: { size: 1 } }] } }], 'stage $sample depends'],
  [[{ $lookup: { from: 'a', pipeline: [{ $match: { $sampleRate: 0.5 } }] } }], '$sampleRate gives'],
  [[{ $match: { $expr: { $lt: ['$at', '$$NOW'] } } }], '$$NOW depends on the moment or the user'],
  [[{ $redact: '$$USER_ROLES.role' }], '$$USER_ROLES depends on the moment or the user'],
  [[{ $set: { x: { $rand: {} } } }], '$rand gives another result each time'],
  [[{ $set: { x: { $function: { body: 'f', args: [], lang: 'js' } } } }], '$function gives'],
  [[{ $lookup: { from: { db: 'other', coll: 'x' }, as: 'x' } }], 'reads another database'],
  [[{ $lookup: 'x' }], 'stage $lookup is no document'],
  [['x'], 'a stage is no document'],
])('refuses %j', (pipeline, reason) => {
  expect(readsOfPipeline('posts', pipeline)).toEqual({
    kind: 'refused',
    reason: expect.stringContaining(reason),
  })
})

it('looks into filters, and not into literals', () => {
  expect(refusalOfValue({ $where: 'this.a' })).toContain('$where')
  expect(refusalOfValue(new Map([['$where', 'this.a']]))).toContain('$where')
  expect(refusalOfValue({ a: [{ b: '$$NOW' }] })).toContain('$$NOW')
  expect(refusalOfValue({ $expr: { $eq: ['$a', { $literal: '$$NOW' }] } })).toBeUndefined()
  expect(refusalOfValue({ a: '$$NOWHERE', b: null, c: new Date() })).toBeUndefined()
})

it('finds what a pipeline writes', () => {
  expect(targetsOfPipeline([{ $match: {} }, { $out: 'a' }])).toEqual(['a'])
  expect(targetsOfPipeline([{ $out: { db: 'd', coll: 'b' } }])).toEqual(['b'])
  expect(targetsOfPipeline([{ $merge: 'c' }])).toEqual(['c'])
  expect(targetsOfPipeline([{ $merge: { into: 'd' } }])).toEqual(['d'])
  expect(targetsOfPipeline([{ $merge: { into: { db: 'x', coll: 'e' } } }])).toEqual(['e'])
  expect(targetsOfPipeline(['x', { $merge: {} }])).toEqual([])
  expect(targetsOfPipeline(undefined)).toEqual([])
})
