import {
  boolean,
  bytes,
  defineConfig,
  duration,
  integer,
  list,
  loadConfig,
  number,
  secret,
  string,
  url,
  type ConfigShape,
  type ConfigWarning,
  type Field,
} from '@dharma/core/config'
import { formatBytes, formatDuration } from '@dharma/core/units'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { fileOf } from './config-fixtures.ts'

const text = fc.string({ minLength: 1, maxLength: 20 }).filter((value) => !/[\r\n\0]/.test(value))

/** A field, a value of it, and the text that stands for the value in the environment. */
const setting: fc.Arbitrary<{ field: Field<unknown>; value: unknown; text: string }> = fc.oneof(
  text.map((value) => ({ field: string(), value, text: value })),
  text.map((value) => ({ field: secret(), value, text: value })),
  fc.maxSafeInteger().map((value) => ({ field: integer(), value, text: String(value) })),
  fc
    .double({ noNaN: true, noDefaultInfinity: true })
    .map((value) => ({ field: number(), value: value + 0, text: String(value) })),
  fc.boolean().map((value) => ({ field: boolean(), value, text: String(value) })),
  fc.maxSafeNat().map((value) => ({ field: duration(), value, text: formatDuration(value) })),
  fc.maxSafeNat().map((value) => ({ field: bytes(), value, text: formatBytes(value) })),
  fc.webUrl().map((value) => ({ field: url(), value, text: value })),
  fc
    .array(fc.integer(), { minLength: 1 })
    .map((value) => ({ field: list(integer()), value, text: value.join(' , ') })),
)
const settings = fc.dictionary(fc.stringMatching(/^[a-z]{1,6}$/), setting, {
  noNullPrototype: true,
  minKeys: 1,
  maxKeys: 8,
})

describe('properties', () => {
  test('a value of the environment or of the config file arrives, with its origin, frozen, and nothing given changes', () => {
    fc.assert(
      fc.property(settings, fc.boolean(), (given, isInFile) => {
        const entries = Object.entries(given).filter(([key]) => !key.endsWith('file'))
        const group = Object.fromEntries(entries.map(([key, { field }]) => [key, field]))
        fc.pre(entries.length > 0)
        const definition = defineConfig('property-values', { group })
        const variables = definition.leaves.map(({ variable }) => variable)
        const environment = Object.fromEntries(
          entries.map(([, each], index) => [variables[index] ?? '', each.text]),
        )
        const values = Object.fromEntries(entries.map(([key, { value }]) => [key, value]))
        const before = structuredClone(environment)
        const config = loadConfig(
          definition,
          isInFile
            ? { environment: {}, file: fileOf({ 'property-values': { group: values } }) }
            : { environment },
        )
        expect(environment).toEqual(before)
        expect(Object.isFrozen(config) && Object.isFrozen(config.group)).toBe(true)
        for (const [key, { field, value }] of entries) {
          const loaded = config.group[key]
          expect(loaded).toEqual(field.kind.isSecret ? loaded : value)
          expect(field.kind.isSecret ? (loaded as { reveal(): unknown }).reveal() : value).toEqual(
            value,
          )
        }
        expect(config.describe().map(({ origin }) => origin)).toEqual(
          entries.map(() => (isInFile ? 'config file' : 'env')),
        )
      }),
      { numRuns: 60 },
    )
  })

  test('what describe() shows of a value that is no secret can be given again', () => {
    fc.assert(
      fc.property(setting, ({ field, text: given }) => {
        fc.pre(!field.kind.isSecret)
        const definition = defineConfig('property-again', { x: field })
        const variable = 'DHARMA_PROPERTY_AGAIN_X'
        const first = loadConfig(definition, { environment: { [variable]: given } })
        const shown = first.describe()[0]?.value
        expect(loadConfig(definition, { environment: { [variable]: shown } })).toEqual(first)
      }),
    )
  })

  test('a definition either has a variable for each value or is refused for a collision', () => {
    const key = fc
      .array(fc.constantFrom('a', 'b', 'B', 'File', 'x1'), { minLength: 1, maxLength: 3 })
      .map((parts) => parts.join(''))
      .filter((name) => /^[a-z]/.test(name))
    const { shape } = fc.letrec<{ shape: ConfigShape }>((tie) => ({
      shape: fc.dictionary(
        key,
        fc.oneof(
          { maxDepth: 3 },
          fc.constant(string({ optional: true })),
          tie('shape'),
        ) as fc.Arbitrary<ConfigShape>,
        { minKeys: 1, maxKeys: 4, noNullPrototype: true },
      ),
    }))
    fc.assert(
      fc.property(shape, (each) => {
        const names = namesOf(each, 'DHARMA_PROPERTY_NAMES')
        const all = names.flatMap((name) => [name, `${name}_FILE`])
        const define = (): readonly string[] =>
          defineConfig('property-names', each).leaves.map(({ variable }) => variable)
        const outcome = outcomeOf(define)
        expect(outcome).toEqual(new Set(all).size === all.length ? names : 'TypeError')
      }),
    )
  })

  test('the nearest name is the first of those with the fewest edits, if they are few', () => {
    // Keys of a config file are compared with their siblings alone, whatever else is defined.
    const name = fc.stringMatching(/^[a-c]{3,6}$/)
    const keys = fc.uniqueArray(name, { minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(keys, name, (known, typed) => {
        fc.pre(!known.includes(typed))
        const shape = Object.fromEntries(known.map((key) => [key, string('')]))
        const warnings: ConfigWarning[] = []
        loadConfig(defineConfig('n', shape), {
          environment: {},
          file: fileOf({ n: { [typed]: 'x' } }),
          onWarning: (warning) => warnings.push(warning),
        })
        const edits = known.map((key) => distance(typed, key))
        const fewest = Math.min(...edits)
        const isNear = fewest <= Math.ceil(`n.${typed}`.length / 4)
        const nearest = isNear ? `n.${known[edits.indexOf(fewest)]}` : undefined
        expect(warnings.map((warning) => warning.nearest)).toEqual([nearest])
      }),
    )
  })
})

/** The naive model of names: words of the path in upper case. */
function namesOf(shape: ConfigShape, prefix: string): string[] {
  return Object.entries(shape).flatMap(([key, member]) => {
    const words = key.replaceAll(/[A-Z]+/g, (capitals, at: number) => {
      const split = capitals.length > 1 && key[at + capitals.length] !== undefined
      const isWordNext = split && /[a-z]/.test(key[at + capitals.length] ?? '')
      return isWordNext ? `_${capitals.slice(0, -1)}_${capitals.slice(-1)}` : `_${capitals}`
    })
    const name = `${prefix}_${words.toUpperCase()}`
    return 'kind' in member && 'readText' in member ? [name] : namesOf(member, name)
  })
}

function outcomeOf(run: () => readonly string[]): readonly string[] | string {
  try {
    return run()
  } catch (error) {
    return error instanceof TypeError ? error.name : 'another error'
  }
}

/** Recursive optimal string alignment. */
function distance(from: string, to: string): number {
  if (from === '' || to === '') return from.length + to.length
  const [a, b] = [from.slice(0, -1), to.slice(0, -1)]
  const isSame = from.at(-1) === to.at(-1)
  if (isSame) return distance(a, b)
  const isSwap = from.length > 1 && from.at(-1) === to.at(-2) && from.at(-2) === to.at(-1)
  const swapped = isSwap ? distance(from.slice(0, -2), to.slice(0, -2)) : Infinity
  return 1 + Math.min(distance(a, to), distance(from, b), distance(a, b), swapped)
}
