/**
 * A parameter, or what may hold a `$1` or a `;` that is none: a string, a quoted name, a comment, or dollar
 * quotes. Source: PostgreSQL manual, section "Lexical Structure".
 */
const TOKEN =
  /(?<![\w$\u0080-\uffff])\$(?<parameter>\d+)|\b[eE]'(?:[^'\\]|\\[\s\S]|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|(?<![\w$\u0080-\uffff])\$(?<tag>(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?)\$[\s\S]*?\$\k<tag>\$|\/\*/g

/** A part of a statement's text. */
export type SqlToken =
  | { readonly kind: 'parameter'; readonly number: number }
  /** Strings, quoted names and comments: not looked into. */
  | { readonly kind: 'quoted'; readonly text: string }
  | { readonly kind: 'plain'; readonly text: string }

/** The parts of a statement, in order; put together they are its text. */
export function* sqlTokens(text: string): Generator<SqlToken> {
  let from = 0
  for (;;) {
    TOKEN.lastIndex = from
    const match = TOKEN.exec(text)
    if (match === null) break
    if (match.index > from) yield { kind: 'plain', text: text.slice(from, match.index) }
    const [found] = match
    const parameter = match.groups?.['parameter']
    from = match.index + found.length
    if (found === '/*') from = endOfComment(text, from)
    if (parameter === undefined) yield { kind: 'quoted', text: text.slice(match.index, from) }
    else yield { kind: 'parameter', number: Number(parameter) }
  }
  if (from < text.length) yield { kind: 'plain', text: text.slice(from) }
}

/** Refuses several statements in one text, of which only the first would stand where it is put. @throws TypeError */
export function checkOneStatement(text: string): void {
  const plain = [...sqlTokens(text)].map((token) => {
    if (token.kind === 'plain') return token.text
    return token.kind === 'quoted' && /^(?:--|\/\*)/.test(token.text) ? ' ' : '?'
  })
  if (/;\s*[^\s;]/.test(plain.join(''))) {
    throw new TypeError('the text must be one statement; there is something after its ;')
  }
}

/** Comments nest. */
function endOfComment(text: string, from: number): number {
  const edges = /\/\*|\*\//g
  edges.lastIndex = from
  let depth = 1
  for (let edge = edges.exec(text); edge !== null; edge = edges.exec(text)) {
    depth += edge[0] === '/*' ? 1 : -1
    if (depth === 0) return edge.index + 2
  }
  return text.length
}
