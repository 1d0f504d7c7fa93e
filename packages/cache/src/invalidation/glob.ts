type Token =
  | { readonly kind: 'literal'; readonly code: number }
  | { readonly kind: 'any' }
  | { readonly kind: 'star' }
  | {
      readonly kind: 'set'
      readonly isNegated: boolean
      readonly ranges: readonly (readonly [number, number])[]
    }

/**
 * A test for Redis' globs: `*`, `?`, `[a-z]`, `[^a]`, and `\` before a character meant as it is.
 * Linear in the key for one star and never worse than key × pattern, so a hostile one costs little.
 */
export function compileGlob(pattern: string): (key: string) => boolean {
  const prefix = literalPrefix(pattern)
  if (prefix.length + 1 === pattern.length && pattern.endsWith('*')) {
    return (key) => key.startsWith(prefix)
  }
  const tokens = tokensOf(pattern)
  return (key) => key.startsWith(prefix) && matches(tokens, key)
}

/** What every key that matches begins with. */
export function literalPrefix(pattern: string): string {
  return /^[^*?[\\]*/.exec(pattern)?.[0] ?? ''
}

function matches(tokens: readonly Token[], key: string): boolean {
  let at = 0
  let token = 0
  let starToken = -1
  let starAt = 0
  while (at < key.length) {
    const current = tokens[token]
    if (current?.kind === 'star') {
      starToken = token++
      starAt = at
    } else if (current !== undefined && accepts(current, key.charCodeAt(at))) {
      token++
      at++
    } else if (starToken >= 0) {
      token = starToken + 1
      at = ++starAt
    } else {
      return false
    }
  }
  while (tokens[token]?.kind === 'star') token++
  return token === tokens.length
}

function accepts(token: Token, code: number): boolean {
  switch (token.kind) {
    case 'literal': {
      return token.code === code
    }
    case 'any':
    case 'star': {
      return true
    }
    case 'set': {
      return token.ranges.some(([from, to]) => code >= from && code <= to) !== token.isNegated
    }
  }
}

function tokensOf(pattern: string): Token[] {
  const tokens: Token[] = []
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at] as string
    if (character === '*') {
      if (tokens.at(-1)?.kind !== 'star') tokens.push({ kind: 'star' })
    } else if (character === '?') {
      tokens.push({ kind: 'any' })
    } else if (character === '[') {
      const end = endOfSet(pattern, at)
      tokens.push(setOf(pattern.slice(at + 1, end)))
      at = end
    } else {
      if (character === '\\' && at + 1 < pattern.length) at++
      tokens.push({ kind: 'literal', code: pattern.charCodeAt(at) })
    }
  }
  return tokens
}

function endOfSet(pattern: string, open: number): number {
  for (let at = open + 1; at < pattern.length; at++) {
    if (pattern[at] === '\\') at++
    else if (pattern[at] === ']') return at
  }
  return pattern.length
}

function setOf(body: string): Token {
  const isNegated = body.startsWith('^')
  const ranges: [number, number][] = []
  for (let at = isNegated ? 1 : 0; at < body.length; at++) {
    if (body[at] === '\\' && at + 1 < body.length) at++
    const from = body.charCodeAt(at)
    let to = from
    if (body[at + 1] === '-' && at + 2 < body.length) {
      to = body.charCodeAt(at + 2)
      at += 2
    }
    ranges.push(from <= to ? [from, to] : [to, from])
  }
  return { kind: 'set', isNegated, ranges }
}
