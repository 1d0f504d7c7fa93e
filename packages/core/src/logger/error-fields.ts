/** A key and a way to its value, which may be a getter that throws. */
export type Entry = readonly [key: string, read: () => unknown]

/** Written first, under these names, whether an error has them as fields of its own or not. */
const STANDARD = new Set(['name', 'message', 'stack', 'cause', 'errors'])

/** What a log line shows of an error: type, message, stack, its own fields, causes and members. */
export function errorFields(error: Error): Entry[] {
  const own = Object.keys(error).filter((key) => !STANDARD.has(key))
  return [
    ['type', () => error.name],
    ['message', () => error.message],
    ['stack', () => error.stack],
    ...own.map((key): Entry => [key, () => error[key as keyof Error]]),
    ['cause', () => error.cause],
    ['errors', () => ('errors' in error ? error.errors : undefined)],
  ]
}
