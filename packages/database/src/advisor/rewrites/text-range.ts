/** Characters of a text from `start` up to, not with, `end`. */
export interface TextRange {
  readonly start: number
  readonly end: number
}

const TOKEN =
  /--[^\n]*|\/\*[\s\S]*?\*\/|\s+|[eE]?'(?:[^']|'')*'|"(?:[^"]|"")*"|\$\d+|\$(\w*)\$[\s\S]*?\$\1\$|[\w\u0080-\uffff]+(?:\.\d+)?|::|[\s\S]/gy

/** The part of a statement that a piece of its parse tree was read from. The tree has beginnings only. */
export function rangeOf(text: string, node: unknown): TextRange | undefined {
  const places: number[] = []
  collect(node, places)
  if (places.length === 0) return undefined
  const bytes = Buffer.from(text)
  const at = (place: number): number => bytes.subarray(0, place).toString().length
  const start = at(Math.min(...places))
  return { start, end: endFrom(text, start, at(Math.max(...places))) }
}

/** Puts texts in place of ranges that do not overlap. */
export function replaceRanges(
  text: string,
  changes: readonly (readonly [TextRange, string])[],
): string {
  let changed = text
  for (const [{ start, end }, by] of changes.toSorted(([a], [b]) => b.start - a.start)) {
    changed = changed.slice(0, start) + by + changed.slice(end)
  }
  return changed
}

/** The end of the token at `last`, and of the parentheses opened since `start`. */
function endFrom(text: string, start: number, last: number): number {
  let depth = 0
  TOKEN.lastIndex = start
  for (let match = TOKEN.exec(text); match !== null; match = TOKEN.exec(text)) {
    const [token] = match
    if (token === '(') depth += 1
    if (token === ')') depth -= 1
    const isCall = /^\s*\(/.test(text.slice(TOKEN.lastIndex))
    if (TOKEN.lastIndex > last && depth <= 0 && !isCall && !/^(?:\s+|::)$/.test(token))
      return TOKEN.lastIndex
  }
  return text.length
}

function collect(value: unknown, places: number[]): void {
  if (Array.isArray(value)) {
    for (const one of value) collect(one, places)
    return
  }
  if (typeof value !== 'object' || value === null) return
  for (const [key, child] of Object.entries(value)) {
    if (key === 'location' && typeof child === 'number' && child >= 0) places.push(child)
    else collect(child, places)
  }
}
