/**
 * The rules of order, settlement and parking, each by name. Production has them all; a test takes one back and
 * has to find the schedule that breaks (test/simulation).
 */
export interface Rules {
  /** An event waits for earlier undecided events that share a row key with it. */
  readonly sameKeyWaits: boolean
  /** A change of the key waits for the new key, too. */
  readonly keyChangeWaitsForBoth: boolean
  /** A parked change of the key parks the new key, too. */
  readonly keyChangeParksBoth: boolean
  /** TRUNCATE and schema events are barriers of their tables. */
  readonly wholeTableWaits: boolean
  /** Keys of one table under different definitions conflict. */
  readonly definitionsConflict: boolean
  /** Keys conflict through the topmost parent, not only through the leaf. */
  readonly rootsConflict: boolean
  /** The key of a total order conflicts with every key, in lanes and in the table: the order was another before. */
  readonly totalConflicts: boolean
  /** An event that shares a key with a parked one goes behind it, to the table. */
  readonly parkedKeysFirst: boolean
  /** What waits in the lanes behind an event that is parked goes with it. */
  readonly parkWithDependents: boolean
  /** Keys of writes under way are parked keys. */
  readonly writeBufferHolds: boolean
  /** A delivery is settled by the table only after the write returned. */
  readonly settleAfterDurable: boolean
  /** A position is settled only when everything before it is. */
  readonly settleInOrder: boolean
  /** Counts are those at the commit that the position names. */
  readonly countsAtCommit: boolean
  /** Parked keys are loaded before the stream starts. */
  readonly loadKeysFirst: boolean
  /** What was parked before a start is skipped when the stream brings it again; its number is given. */
  readonly skipParked: boolean
  /** A parked row is fed only when the stream has reached its position. */
  readonly feedBelowStream: boolean
  /** A scan loads only rows below the lowest position that the write buffer held since it began. */
  readonly feedBelowBuffer: boolean
  /** A scan does not load again what was loaded or decided since it began. */
  readonly rememberDecided: boolean
  /** Rows that are fed wait in the lanes like any event. */
  readonly feederUnderOrder: boolean
  /** A row is not fed before an earlier one that shares a key and is not due. */
  readonly heldRowsHold: boolean
  /** An event is settled by segments only after the append returned. */
  readonly segmentSettlesAfterDurable: boolean
  /** A start cuts off what segments have at or above its position: the stream brings it again. */
  readonly cutAtStart: boolean
  /** An endpoint with a backlog in segments starts behind. */
  readonly backlogIsBehind: boolean
  /** Rows that are there for events behind a stored cursor are skipped when the reader comes to those events again. */
  readonly skipRowsOfSegments: boolean
  /** The reader of segments brings an event to the table if it shares a key with what is parked. */
  readonly readerUnderParkedKeys: boolean
  /** What is read from segments waits in the lanes like any event. */
  readonly readerUnderOrder: boolean
  /** A row is fed only when the reader of segments has passed its place. */
  readonly feedBelowReader: boolean
  /** A cursor passes an event only when it is delivered, a durable row, or withdrawn. */
  readonly cursorAfterDecided: boolean
  /** An event whose number is kept as a range (suspended, withdrawn) is settled only after the range is durable. */
  readonly rangesBeforeSettle: boolean
  /** What waits for an event goes in a batch only behind it, never beside others that hold it. */
  readonly batchInOrder: boolean
  /** Back to live only when the reader has handed on all that waits in segments and in their write buffer. */
  readonly liveWhenRead: boolean
  /** A dead one frees its keys, once that is durable. */
  readonly deadFreesKeys: boolean
}

export type RuleName = keyof Rules

export const all: Rules = {
  sameKeyWaits: true,
  keyChangeWaitsForBoth: true,
  keyChangeParksBoth: true,
  wholeTableWaits: true,
  definitionsConflict: true,
  rootsConflict: true,
  totalConflicts: true,
  parkedKeysFirst: true,
  parkWithDependents: true,
  writeBufferHolds: true,
  settleAfterDurable: true,
  settleInOrder: true,
  countsAtCommit: true,
  loadKeysFirst: true,
  skipParked: true,
  feedBelowStream: true,
  feedBelowBuffer: true,
  rememberDecided: true,
  feederUnderOrder: true,
  heldRowsHold: true,
  segmentSettlesAfterDurable: true,
  cutAtStart: true,
  backlogIsBehind: true,
  skipRowsOfSegments: true,
  readerUnderParkedKeys: true,
  readerUnderOrder: true,
  feedBelowReader: true,
  cursorAfterDecided: true,
  rangesBeforeSettle: true,
  batchInOrder: true,
  liveWhenRead: true,
  deadFreesKeys: true
}

/** All rules but one: for tests. */
export const without = (name: RuleName): Rules => ({ ...all, [name]: false })
