const COUNTS =
  /^dharma_(?:postgres|mongodb)_operation_seconds_count\{[^}]*operation="(?!ping)[^"]*"[^}]*\} (\d+)/gm

/** Operations that the service has sent to PostgreSQL and MongoDB so far, by its own `/metrics`. */
export async function databaseQueries(url: string): Promise<number> {
  const response = await fetch(`${url}/metrics`)
  const text = await response.text()
  return [...text.matchAll(COUNTS)].reduce((sum, [, count]) => sum + Number(count), 0)
}
