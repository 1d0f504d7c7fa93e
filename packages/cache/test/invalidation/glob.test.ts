import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileGlob, literalPrefix } from '../../src/invalidation/glob.ts'

/** Redis' globs as a regular expression. */
function toRegExp(glob: string): RegExp {
  const body = glob.replaceAll(
    /\\(.)|\[(\^?)([^\]]*)\]|[*?]|[^*?[\\]/gs,
    (part, escaped: string | undefined, negated: string | undefined, set: string | undefined) => {
      const quote = (text: string): string =>
        text.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`)
      if (escaped !== undefined) return quote(escaped)
      if (set !== undefined) return set === '' ? '(?!)' : `[${negated ?? ''}${set}]`
      if (part === '*') return '[^]*'
      return part === '?' ? '[^]' : quote(part)
    },
  )
  return new RegExp(`^${body}$`)
}

describe('compileGlob', () => {
  it('matches what the same pattern as a regular expression matches', () => {
    const piece = fc.constantFrom('a', 'b', ':', '*', '?', '[ab]', '[^a]', String.raw`\*`, '**')
    const text = fc.array(fc.constantFrom('a', 'b', ':', '*', 'c'), { maxLength: 8 })
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), text, (pieces, letters) => {
        const pattern = pieces.join('')
        const key = letters.join('')
        expect(compileGlob(pattern)(key)).toBe(toRegExp(pattern).test(key))
      }),
      { numRuns: 2_000 },
    )
  })

  it('takes ranges, and an escape as the character itself', () => {
    expect(compileGlob('user:[0-9]*')('user:42')).toBe(true)
    expect(compileGlob('user:[9-0]')('user:x')).toBe(false)
    expect(compileGlob(String.raw`a\*b`)('a*b')).toBe(true)
    expect(compileGlob(String.raw`a\*b`)('axb')).toBe(false)
  })

  it('ends quickly on a hostile pattern', () => {
    const matches = compileGlob(`${'*a'.repeat(50)}b`)
    const startedMs = performance.now()
    expect(matches('a'.repeat(5_000))).toBe(false)
    expect(performance.now() - startedMs).toBeLessThan(1_000)
  })

  it('knows what every match begins with', () => {
    expect(literalPrefix('user:4*')).toBe('user:4')
  })
})
