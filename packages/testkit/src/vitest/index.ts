export {
  describeWith,
  describeWithMongo,
  describeWithPostgres,
  describeWithRedis,
} from './describe-with.ts'
export type { TestServerUrls } from './provided-context.ts'
