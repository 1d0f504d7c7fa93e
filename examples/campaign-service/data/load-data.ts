import type { MongoManager } from '@dharma/database/mongodb'
import type { CopyRows, PostgresManager } from '@dharma/database/postgres'
import { ProgressBar } from './progress.ts'
import { readAirports, readFlights } from './real-data.ts'
import { createIndexes, createSchema } from './schema.ts'
import { generateFollows, generatePosts, generateProfiles } from './social-data.ts'

export interface DataSize {
  readonly flights: number
  readonly profiles: number
  readonly followsEach: number
  readonly posts: number
}

export interface LoadedData {
  readonly rows: number
  readonly documents: number
  /** Rows a second of COPY, over all tables. */
  readonly copyRowsPerSecond: number
}

/** Fills both databases: real flights and airports, and a social network made from fixed seeds. */
export async function loadData(
  postgres: PostgresManager,
  mongo: MongoManager,
  size: DataSize,
): Promise<LoadedData> {
  await createSchema(postgres, mongo)
  const airports = await readAirports()
  const flights = await readFlights(size.flights)
  let rows = 0
  let copyMs = 0
  // #region copy
  const copy = async (table: string, expected: number, source: CopyRows): Promise<void> => {
    const bar = new ProgressBar(`COPY ${table}`, expected)
    const startedMs = performance.now()
    const result = await postgres.copyInto(table, source, {
      onProgress: ({ rows: done }) => bar.update(done),
    })
    copyMs += performance.now() - startedMs
    rows += result.rows
    bar.end(result.rows)
  }
  // #endregion
  await copy('flights', flights.length, flights)
  await copy('airports', airports.length, airports)
  await copy('profiles', size.profiles, generateProfiles(size.profiles, airports))
  const follows = size.profiles * size.followsEach
  await copy('follows', follows, generateFollows(size.profiles, size.followsEach))
  const documents = await insertPosts(mongo, size)
  await createIndexes(postgres, mongo)
  return { rows, documents, copyRowsPerSecond: (rows * 1000) / copyMs }
}

async function insertPosts(mongo: MongoManager, { posts, profiles }: DataSize): Promise<number> {
  const bar = new ProgressBar('insertMany posts', posts)
  const { inserted, failed } = await mongo.insertMany('posts', generatePosts(posts, profiles), {
    onProgress: ({ inserted: done }) => bar.update(done),
  })
  bar.end(inserted)
  if (failed.length > 0) throw new Error(`${failed.length} posts were not stored`)
  return inserted
}
