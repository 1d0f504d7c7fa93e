import { analyze } from './analyze.ts'
import type { ParsedStatement } from './parsed-statement.ts'
import { parseText } from './parser.ts'

/** Statements remembered at most, in two generations, and the length from which a text is not. */
const MAX_REMEMBERED = 1_000
const MAX_REMEMBERED_LENGTH = 32_768

let young = new Map<string, ParsedStatement>()
let old = new Map<string, ParsedStatement>()

/**
 * Reads a statement by PostgreSQL's own parser: about 1 ms for a new text, a lookup for one that is
 * remembered. The parser (1.7 MB of WebAssembly) is loaded by the first call.
 * @throws SqlSyntaxError, RangeError for a text that is too long
 */
export async function parseStatement(text: string): Promise<ParsedStatement> {
  const known = knownStatement(text)
  if (known !== undefined) return known
  const { nodes, normalized, fingerprint } = await parseText(text)
  const statement: ParsedStatement = { text, normalized, fingerprint, ...analyze(nodes) }
  if (text.length <= MAX_REMEMBERED_LENGTH) remember(text, statement)
  return statement
}

/** What {@link parseStatement} has found of the text, if it is remembered: for where waiting is not possible. */
export function knownStatement(text: string): ParsedStatement | undefined {
  const known = young.get(text)
  if (known !== undefined) return known
  const older = old.get(text)
  if (older !== undefined) remember(text, older)
  return older
}

function remember(text: string, statement: ParsedStatement): void {
  if (young.size >= MAX_REMEMBERED / 2) {
    old = young
    young = new Map()
  }
  young.set(text, statement)
}
