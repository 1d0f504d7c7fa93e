import type { Node, TransactionStmt } from 'libpg-query'
import type { SqlStatementKind, TransactionControl } from './parsed-statement.ts'

/** Kinds of nodes and what they are for us. All other statements define something. */
const KINDS: Readonly<Record<string, SqlStatementKind>> = {
  SelectStmt: 'select',
  InsertStmt: 'insert',
  UpdateStmt: 'update',
  DeleteStmt: 'delete',
  MergeStmt: 'merge',
  TruncateStmt: 'truncate',
  CopyStmt: 'copy',
  RefreshMatViewStmt: 'refresh',
  VariableSetStmt: 'set',
  DiscardStmt: 'set',
  ConstraintsSetStmt: 'set',
  VariableShowStmt: 'show',
  ExplainStmt: 'explain',
  TransactionStmt: 'transaction',
  CallStmt: 'call',
  DoStmt: 'do',
  DeclareCursorStmt: 'cursor',
  FetchStmt: 'cursor',
  ClosePortalStmt: 'cursor',
  PrepareStmt: 'prepared',
  ExecuteStmt: 'prepared',
  DeallocateStmt: 'prepared',
  ListenStmt: 'notify',
  UnlistenStmt: 'notify',
  NotifyStmt: 'notify',
  LockStmt: 'lock',
  VacuumStmt: 'maintenance',
  ClusterStmt: 'maintenance',
  ReindexStmt: 'maintenance',
  CheckPointStmt: 'maintenance',
}

/** What a statement is, by its node. */
export function kindOfNode(node: Node): SqlStatementKind {
  if ('SelectStmt' in node && node.SelectStmt.intoClause !== undefined) return 'ddl'
  return KINDS[Object.keys(node)[0] ?? ''] ?? 'ddl'
}

const ACTIONS: Readonly<Record<string, TransactionControl['action']>> = {
  TRANS_STMT_BEGIN: 'begin',
  TRANS_STMT_START: 'begin',
  TRANS_STMT_COMMIT: 'commit',
  TRANS_STMT_ROLLBACK: 'rollback',
  TRANS_STMT_SAVEPOINT: 'savepoint',
  TRANS_STMT_RELEASE: 'release',
  TRANS_STMT_ROLLBACK_TO: 'rollback to',
  TRANS_STMT_PREPARE: 'prepare',
  TRANS_STMT_COMMIT_PREPARED: 'commit prepared',
  TRANS_STMT_ROLLBACK_PREPARED: 'rollback prepared',
}

/** What a transaction statement does. */
export function controlOf({
  kind,
  savepoint_name: savepoint,
}: TransactionStmt): TransactionControl {
  return { action: ACTIONS[kind ?? ''] ?? 'begin', savepoint }
}
