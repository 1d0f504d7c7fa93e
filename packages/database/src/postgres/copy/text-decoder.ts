import { types } from 'pg'
import type { ArrayType, ColumnType } from './column-types.ts'

/** Reads a value from the server's text form. */
export type ReadText = (text: string) => unknown

/** For any type, not only those that the declaration lists. */
const parserOf = types.getTypeParser as (oid: number, format: 'text') => ReadText

/** The reader of a type: what `pg` makes of it, and arrays of any type as arrays. */
export function textReaderOf(type: ColumnType): ReadText {
  if (type.kind === 'enum') return (text) => text
  if (type.kind !== 'array') return parserOf(type.oid, 'text')
  const readElement = textReaderOf(type.element)
  return (text) => new ArrayText(text, type, readElement).read()
}

/** Source: PostgreSQL manual, section "Array Input and Output Syntax". */
class ArrayText {
  readonly #text: string
  readonly #delimiter: string
  readonly #readElement: ReadText
  #at: number

  constructor(text: string, { delimiter }: ArrayType, readElement: ReadText) {
    this.#text = text
    this.#delimiter = delimiter
    this.#readElement = readElement
    // Bounds that do not begin at 1 stand in front: [0:1]={a,b}.
    this.#at = text.indexOf('{')
  }

  read(): unknown[] {
    const values: unknown[] = []
    this.#at++
    while (this.#text[this.#at] !== '}') {
      values.push(this.#readOne())
      if (this.#text[this.#at] === this.#delimiter) this.#at++
    }
    this.#at++
    return values
  }

  #readOne(): unknown {
    const next = this.#text[this.#at]
    if (next === '{') return this.read()
    if (next === '"') return this.#readElement(this.#quoted())
    const from = this.#at
    while (!this.#isEnd(this.#text[this.#at])) this.#at++
    const word = this.#text.slice(from, this.#at)
    return word === 'NULL' ? null : this.#readElement(word)
  }

  #isEnd(character: string | undefined): boolean {
    return character === this.#delimiter || character === '}' || character === undefined
  }

  #quoted(): string {
    let value = ''
    for (this.#at++; this.#text[this.#at] !== '"'; this.#at++) {
      if (this.#text[this.#at] === '\\') this.#at++
      value += this.#text[this.#at] ?? ''
    }
    this.#at++
    return value
  }
}
