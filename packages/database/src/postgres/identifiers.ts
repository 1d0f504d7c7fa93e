/** A name as SQL writes it, whatever it contains. @throws RangeError for an empty one or a zero character */
export function quoteIdentifier(name: string): string {
  if (name === '' || name.includes('\0')) {
    throw new RangeError('an SQL name must not be empty and must not contain a zero character')
  }
  return `"${name.replaceAll('"', '""')}"`
}

const PLAIN_PART = '(?:[A-Za-z_\\u0080-\\uffff][\\w$\\u0080-\\uffff]*|"(?:[^"\\0]|"")+")'
const TABLE_NAME = new RegExp(`^${PLAIN_PART}(?:\\.${PLAIN_PART}){0,2}$`)

/**
 * A table name as one writes it in SQL, `posts`, `app.posts` or `"Posts"`, checked so that it can
 * stand in a statement.
 *
 * @throws RangeError when it is anything but a name
 */
export function checkTableName(table: string): string {
  if (TABLE_NAME.test(table)) return table
  throw new RangeError(
    `table must be a name such as posts, app.posts or "Posts", got '${table.slice(0, 64)}'`,
  )
}
