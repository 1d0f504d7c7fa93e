import { DharmaError } from '@dharma/core'

/**
 * PostgreSQL's parser does not understand the text. What it said, which may quote a literal, is in
 * the `cause`.
 */
export class SqlSyntaxError extends DharmaError {
  override readonly name = 'SqlSyntaxError'
  readonly code = 'DHARMA_SQL_SYNTAX'
  /** Where in the text, from 0, in UTF-8 bytes as the parser counts; `undefined` where it did not say. */
  readonly position: number | undefined

  constructor(position: number | undefined, options?: ErrorOptions) {
    super(`SQL syntax error${position === undefined ? '' : ` at character ${position}`}`, options)
    this.position = position
  }
}
