import fc from 'fast-check'
import { Decimal128, Double, Long, type Document } from 'mongodb'

/** Values that compare equal over types, and kinds of nothing. */
const scalar = fc.constantFrom<unknown>(
  0,
  1,
  2,
  3,
  -1,
  1.5,
  'a',
  'b',
  '',
  null,
  true,
  false,
  new Date(0),
  Long.fromNumber(1),
  new Double(2),
  Decimal128.fromString('1'),
)

const value: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 6, arbitrary: scalar },
  { weight: 2, arbitrary: fc.array(scalar, { maxLength: 3 }) },
  { weight: 2, arbitrary: fc.record({ x: scalar, y: scalar }, { requiredKeys: [] }) },
  {
    weight: 2,
    arbitrary: fc.array(fc.record({ x: scalar, y: scalar }, { requiredKeys: [] }), {
      maxLength: 3,
    }),
  },
  { weight: 1, arbitrary: fc.array(fc.array(scalar, { maxLength: 2 }), { maxLength: 2 }) },
)

/** Documents without an `_id`; `s` is never an array, and is always there. */
export const randomDocument: fc.Arbitrary<Document> = fc
  .record({ a: value, b: value, c: value, d: value }, { requiredKeys: [] })
  .chain((document) => scalar.map((s) => ({ ...document, s })))

const field = fc.constantFrom('a', 'b', 'c', 'd', 's')
const path = fc.constantFrom('a', 'b', 'c', 'd', 's', 'a.x', 'b.x', 'b.y', 'c.0', 'd.x')
const expressionPath = fc.constantFrom('$a', '$b', '$c', '$s', '$a.x', '$b.y', '$d')

const plainTest: fc.Arbitrary<Document> = fc.oneof(
  fc.tuple(path, scalar).map(([key, one]) => ({ [key]: one })),
  fc
    .tuple(path, fc.constantFrom('$eq', '$ne', '$gt', '$gte', '$lt', '$lte'), scalar)
    .map(([key, operator, one]) => ({ [key]: { [operator]: one } })),
  fc
    .tuple(path, fc.constantFrom('$in', '$nin'), fc.array(scalar, { maxLength: 3 }))
    .map(([key, operator, list]) => ({ [key]: { [operator]: list } })),
  fc.tuple(path, fc.boolean()).map(([key, is]) => ({ [key]: { $exists: is } })),
  fc
    .tuple(path, fc.constantFrom('int', 'string', 'array', 'null', 'object'))
    .map(([key, type]) => ({ [key]: { $type: type } })),
  fc.tuple(path, scalar).map(([key, one]) => ({ [key]: { $not: { $gt: one } } })),
  fc.tuple(field, scalar).map(([key, one]) => ({ [key]: { $elemMatch: { $eq: one } } })),
  fc.tuple(field, scalar).map(([key, one]) => ({ [key]: { $elemMatch: { x: one } } })),
  fc.tuple(field, fc.nat(2)).map(([key, size]) => ({ [key]: { $size: size } })),
)

const comparison: fc.Arbitrary<Document> = fc.oneof(
  fc.tuple(expressionPath, scalar).map(([from, one]) => ({ $eq: [from, one] as unknown[] })),
  fc.tuple(scalar, expressionPath).map(([one, from]) => ({ $eq: [one, from] as unknown[] })),
  fc
    .tuple(expressionPath, fc.array(scalar, { minLength: 1, maxLength: 3 }))
    .map(([from, list]) => ({ $in: [from, list] as unknown[] })),
  fc.tuple(expressionPath, scalar).map(([from, one]) => ({ $gt: [from, one] as unknown[] })),
  fc.tuple(expressionPath, expressionPath).map(([a, b]) => ({ $eq: [a, b] as unknown[] })),
  fc.tuple(expressionPath, fc.nat(2)).map(([from, n]) => ({ $eq: [{ $size: from }, n] })),
)

const filter: fc.Arbitrary<Document> = fc.oneof(
  { weight: 6, arbitrary: plainTest },
  { weight: 2, arbitrary: comparison.map((one) => ({ $expr: one })) },
  {
    weight: 1,
    arbitrary: fc.tuple(comparison, comparison).map((both) => ({ $expr: { $and: both } })),
  },
  { weight: 2, arbitrary: fc.tuple(plainTest, plainTest).map((both) => ({ $or: both })) },
  { weight: 2, arbitrary: fc.tuple(plainTest, plainTest).map((both) => ({ $and: both })) },
  { weight: 1, arbitrary: plainTest.map((one) => ({ $nor: [one] })) },
)

const expression: fc.Arbitrary<unknown> = fc.oneof(
  expressionPath,
  scalar,
  fc.tuple(expressionPath, scalar).map(([from, one]) => ({ $ifNull: [from, one] })),
  fc.tuple(expressionPath, expressionPath).map(([a, b]) => [a, b]),
  expressionPath.map((from) => ({ $type: from })),
  fc.constant('$$ROOT'),
  fc.constant('$$REMOVE'),
)

const lookup: fc.Arbitrary<Document> = fc
  .tuple(
    fc.constantFrom('a', 's', 'b.x'),
    fc.constantFrom('j', 'j', 'j', 'a', 'd', 'b.x'),
    fc.boolean(),
  )
  .map(([localField, as, isPipeline]) =>
    isPipeline
      ? {
          $lookup: {
            from: 'other',
            let: { v: `$${localField}` },
            pipeline: [{ $match: { $expr: { $eq: ['$k', '$$v'] } } }, { $project: { _id: 0 } }],
            as,
          },
        }
      : { $lookup: { from: 'other', localField, foreignField: 'k', as } },
  )

const set: fc.Arbitrary<Document> = fc
  .tuple(
    fc.constantFrom('$set', '$addFields'),
    fc.constantFrom('a', 'b', 'e', 'j', 'b.x', 'c.y'),
    expression,
  )
  .map(([name, key, made]) => ({ [name]: { [key]: made } }))

const project: fc.Arbitrary<Document> = fc.oneof(
  fc.subarray(['a', 'b', 'c', 'd', 's', 'j'], { minLength: 1 }).map((keys) => ({
    $project: Object.fromEntries(keys.map((key) => [key, 1])),
  })),
  fc.subarray(['a', 'b.x', 'c', 'j'], { minLength: 1 }).map((keys) => ({
    $project: Object.fromEntries(keys.map((key) => [key, 0])),
  })),
  fc.tuple(field, field, expression).map(([kept, made, how]) => ({
    $project: { [kept]: 1, s: 1, ...(made === kept || made === 's' ? {} : { [made]: how }) },
  })),
  fc.tuple(field, expressionPath).map(([made, from]) => ({ $project: { [made]: from } })),
  fc.constant({ $project: { a: { x: 1 }, s: 1 } }),
)

const unset = fc.constantFrom('a', 'j', 'b.x', 'd').map((key): Document => ({ $unset: key }))

const unwind: fc.Arbitrary<Document> = fc.constantFrom<Document>(
  { $unwind: '$a' },
  { $unwind: { path: '$b', preserveNullAndEmptyArrays: true } },
  { $unwind: { path: '$c', includeArrayIndex: 'd' } },
  { $unwind: '$j' },
)

/** One order for each collection, for no two documents have the same `_id`. */
const cut: fc.Arbitrary<Document[]> = fc
  .tuple(
    fc.constantFrom<Document>({ s: 1, _id: 1 }, { s: -1, _id: -1 }, { _id: 1 }),
    fc.array(
      fc.tuple(fc.boolean(), fc.nat(6)).map(([isLimit, n]) => {
        return isLimit ? { $limit: n + 1 } : { $skip: n % 3 }
      }),
      { minLength: 1, maxLength: 3 },
    ),
  )
  .map(([pattern, cuts]) => [{ $sort: pattern }, ...cuts])

const sort = fc
  .constantFrom<Document>({ s: 1 }, { a: 1, s: -1 }, { b: -1 }, { 'b.x': 1 })
  .map((pattern): Document => ({ $sort: pattern }))

const match = filter.map((one): Document => ({ $match: one }))

const facet: fc.Arbitrary<Document> = fc
  .tuple(filter, fc.array(filter, { minLength: 1, maxLength: 3 }), fc.boolean())
  .map(([common, others, isShared]) => ({
    $facet: Object.fromEntries(
      others.map((one, at) => [
        `f${at}`,
        [
          { $match: isShared ? { $and: [common, one] } : one },
          ...(at === 0 ? [] : [{ $count: 'n' }]),
        ],
      ]),
    ),
  }))

const end: fc.Arbitrary<Document[]> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Document[]>([]) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom('$a', '$s', '$d'), match)
      .map(([key]): Document[] => [{ $group: { _id: key, n: { $sum: 1 } } }]),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(
        fc.constantFrom('$a', '$s'),
        fc.constantFrom('$eq', '$ne', '$gt', '$lte', '$in'),
        scalar,
      )
      .map(([key, operator, one]): Document[] => [
        { $group: { _id: key, n: { $sum: 1 } } },
        { $match: { _id: { [operator]: operator === '$in' ? [one] : one } } },
      ]),
  },
  {
    weight: 1,
    arbitrary: fc.constant<Document[]>([
      { $sort: { b: 1, _id: 1 } },
      { $group: { _id: '$s', first: { $first: '$_id' } } },
    ]),
  },
  { weight: 1, arbitrary: fc.constant<Document[]>([{ $sort: { s: 1 } }, { $count: 'n' }]) },
  { weight: 2, arbitrary: facet.map((one) => [one]) },
  { weight: 1, arbitrary: fc.constant<Document[]>([{ $project: { a: 1, s: 1 } }]) },
)

/** Pipelines whose result is defined but for the order of the documents in it. */
export const randomPipeline: fc.Arbitrary<Document[]> = fc
  .tuple(
    fc.array(fc.oneof(match, match, set, lookup, unset, sort), { maxLength: 4 }),
    // After it the `_id` may be gone or repeated, and no cut is defined.
    fc.oneof({ weight: 1, arbitrary: fc.constant<Document[]>([]) }, { weight: 2, arbitrary: cut }),
    fc.array(fc.oneof(match, match, set, lookup, project, unset, unwind, sort), { maxLength: 4 }),
    end,
  )
  .map(([before, cuts, after, last]) => [...before, ...cuts, ...after, ...last])

/** Stages that keep the order in which documents come. */
const KEEPS_ORDER = new Set(['$match', '$set', '$addFields', '$unset', '$project', '$lookup'])

/** Whether a pipeline says in which order its documents come. */
export function hasDefinedOrder(pipeline: readonly Document[]): boolean {
  const names = pipeline.map((stage) => Object.keys(stage)[0] ?? '')
  const lastSort = names.lastIndexOf('$sort')
  const isTotal = lastSort !== -1 && '_id' in ((pipeline[lastSort]?.['$sort'] ?? {}) as Document)
  return (
    isTotal &&
    names
      .slice(lastSort + 1)
      .every((name) => KEEPS_ORDER.has(name) || /^\$(?:limit|skip)$/.test(name))
  )
}
