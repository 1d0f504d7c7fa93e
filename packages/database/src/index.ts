export * from './mongodb/index.ts'
export * from './postgres/index.ts'
