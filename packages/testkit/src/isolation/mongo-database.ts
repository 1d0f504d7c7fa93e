import { MongoClient } from 'mongodb'
import { uniqueName } from './unique-name.ts'
import type { FreshDatabase } from './postgres-database.ts'

/** A new database name on the MongoDB at `url`, in the URL as its default database. It exists from the first write. */
export function createMongoDatabase(url: string, stem?: string): FreshDatabase {
  const name = uniqueName(stem)
  const own = new URL(url)
  own.pathname = `/${name}`
  const drop = async (): Promise<void> => {
    const client = new MongoClient(url)
    try {
      await client.db(name).dropDatabase()
    } finally {
      await client.close()
    }
  }
  return { url: own.href, name, drop, [Symbol.asyncDispose]: drop }
}
