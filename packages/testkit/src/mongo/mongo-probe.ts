import { MongoClient, MongoServerError } from 'mongodb'
import type { Address } from '../test-server.ts'

/** The replica set's name, in every server that the testkit starts. */
export const REPLICA_SET = 'testkit'

const TIMEOUT_MS = 2000
/** Error codes of a node that is not, or is already, in a replica set. */
const NOT_YET_INITIALIZED = 94
const ALREADY_INITIALIZED = 23

/** Whether a MongoDB takes writes; makes a fresh one the only node of its replica set. */
export async function probeMongo({ host, port }: Address): Promise<true | undefined> {
  const client = new MongoClient(`mongodb://${host}:${port}/?directConnection=true`, {
    connectTimeoutMS: TIMEOUT_MS,
    serverSelectionTimeoutMS: TIMEOUT_MS,
    socketTimeoutMS: TIMEOUT_MS,
  })
  try {
    const admin = client.db('admin')
    const hello = await admin.command({ hello: 1 })
    if (hello['isWritablePrimary'] === true) return true
    await admin.command({ replSetGetStatus: 1 }).catch(async (error: unknown) => {
      if (!hasCode(error, NOT_YET_INITIALIZED)) throw error
      await initiate(client, `${host}:${port}`)
    })
    return undefined
  } finally {
    await client.close()
  }
}

async function initiate(client: MongoClient, member: string): Promise<void> {
  const config = {
    _id: REPLICA_SET,
    members: [{ _id: 0, host: member }],
    settings: { electionTimeoutMillis: 500 },
  }
  try {
    await client.db('admin').command({ replSetInitiate: config })
  } catch (error) {
    if (!hasCode(error, ALREADY_INITIALIZED)) throw error
  }
}

function hasCode(error: unknown, code: number): boolean {
  return error instanceof MongoServerError && error.code === code
}
