export { parseStatement, knownStatement } from './parse-statement.ts'
export { parseTree } from './parser.ts'
export type {
  FunctionCall,
  ParsedStatement,
  SqlStatementKind,
  TableName,
  TransactionControl,
} from './parsed-statement.ts'
export { SqlSyntaxError } from './sql-syntax-error.ts'
export { visitNodes, type NodeVisitor, type SqlNode } from './visit-nodes.ts'
