/* oxlint-disable no-underscore-dangle -- the C functions are named so */
import { createRequire } from 'node:module'
import { toError } from '@dharma/core'
import type { Node } from 'libpg-query'
import { SqlSyntaxError } from './sql-syntax-error.ts'

/** The C functions of libpg-query, as Emscripten offers them. Addresses are numbers. */
interface PgQueryModule {
  readonly HEAPU8: Uint8Array
  _malloc(bytes: number): number
  _free(address: number): void
  _wasm_parse_query_raw(text: number): number
  _wasm_free_parse_result(result: number): void
  _wasm_fingerprint(text: number): number
  _wasm_normalize_query(text: number): number
  _wasm_free_string(address: number): void
  getValue(address: number, type: 'i32'): number
  UTF8ToString(address: number): string
  stringToUTF8(text: string, address: number, maxBytes: number): void
}

type PgQueryFactory = () => Promise<PgQueryModule>

/** What PostgreSQL's own code makes of a text. */
export interface ParsedText {
  readonly nodes: readonly Node[]
  readonly normalized: string
  readonly fingerprint: string
}

/** Texts longer than this are refused: the parser is recursive and shares the process. */
const MAX_TEXT_BYTES = 4 * 1024 * 1024
/**
 * libpg-query 18.1 keeps about 80 KiB of its memory for each statement parsed, and cannot give it
 * back: an instance is replaced after so many texts, or so many bytes, which costs 3–8 ms.
 */
const MAX_TEXTS = 400
const MAX_BYTES = 1024 * 1024

/** One instance of PostgreSQL's parser in WebAssembly. */
class Parser {
  readonly #module: PgQueryModule
  #texts = 0
  #bytes = 0

  constructor(module: PgQueryModule) {
    this.#module = module
  }

  get isWornOut(): boolean {
    return this.#texts >= MAX_TEXTS || this.#bytes >= MAX_BYTES
  }

  parse(text: string): ParsedText {
    return this.#withText(text, (address) => ({
      nodes: this.#nodes(address),
      normalized: this.#string(this.#module._wasm_normalize_query(address)),
      fingerprint: this.#string(this.#module._wasm_fingerprint(address)),
    }))
  }

  tree(text: string): readonly Node[] {
    return this.#withText(text, (address) => this.#nodes(address))
  }

  #withText<R>(text: string, work: (address: number) => R): R {
    const bytes = Buffer.byteLength(text)
    // The C side ends a text at a zero, which SQL cannot hold anyway.
    const zero = text.indexOf('\0')
    if (zero >= 0) throw new SqlSyntaxError(zero)
    if (bytes > MAX_TEXT_BYTES) {
      throw new RangeError(`an SQL text must have ${MAX_TEXT_BYTES} bytes at most, got ${bytes}`)
    }
    this.#texts += 1
    this.#bytes += bytes
    const module = this.#module
    const address = module._malloc(bytes + 1)
    try {
      module.stringToUTF8(text.toWellFormed(), address, bytes + 1)
      return work(address)
    } catch (error) {
      if (error instanceof SqlSyntaxError) throw error
      // A trap inside WebAssembly leaves the instance in an unknown state.
      this.#texts = MAX_TEXTS
      throw new SqlSyntaxError(undefined, { cause: toError(error) })
    } finally {
      if (this.#texts < MAX_TEXTS) module._free(address)
    }
  }

  #nodes(address: number): readonly Node[] {
    const module = this.#module
    const result = module._wasm_parse_query_raw(address)
    try {
      const error = module.getValue(result + 8, 'i32')
      if (error !== 0) {
        const message = module.UTF8ToString(module.getValue(error, 'i32'))
        const position = module.getValue(error + 16, 'i32')
        throw new SqlSyntaxError(position > 0 ? position - 1 : undefined, {
          cause: new Error(message),
        })
      }
      const json = module.UTF8ToString(module.getValue(result, 'i32'))
      const { stmts = [] } = JSON.parse(json) as {
        readonly stmts?: readonly { readonly stmt: Node }[]
      }
      return stmts.map(({ stmt }) => stmt)
    } finally {
      module._wasm_free_parse_result(result)
    }
  }

  #string(address: number): string {
    const text = this.#module.UTF8ToString(address)
    this.#module._wasm_free_string(address)
    return text
  }
}

let current: Promise<Parser> | undefined

/** The parser of this process, made when it is first asked for and renewed when it is worn out. */
async function usableParser(): Promise<Parser> {
  current ??= createParser()
  const parser = await current.catch((error: unknown) => {
    current = undefined
    throw error
  })
  if (!parser.isWornOut) return parser
  current = undefined
  return usableParser()
}

async function createParser(): Promise<Parser> {
  // The package's own entry has one instance for good, and so never gives memory back.
  const load = createRequire(import.meta.url)
  const factory = load('libpg-query/wasm/libpg-query.js') as PgQueryFactory
  return new Parser(await factory())
}

/** @throws SqlSyntaxError, RangeError for a text that is too long */
export async function parseText(text: string): Promise<ParsedText> {
  return (await usableParser()).parse(text)
}

/**
 * PostgreSQL's parse tree of a text, one node for each statement. It is large and not kept: take
 * what is needed by `visitNodes`.
 * @throws SqlSyntaxError, RangeError for a text that is too long
 */
export async function parseTree(text: string): Promise<readonly Node[]> {
  return (await usableParser()).tree(text)
}
