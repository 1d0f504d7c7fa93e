/** What tests get by `inject`; `''` where a server is missing on this machine. */
export interface TestServerUrls {
  redisUrl: string
  postgresUrl: string
  mongoUrl: string
}

declare module 'vitest' {
  export interface ProvidedContext extends TestServerUrls {}
}
