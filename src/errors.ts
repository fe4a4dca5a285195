/**
 * Typed errors of the whole project. Every failure that the world can cause has a name here; tests and callers
 * look at `name`, never at the text. The text says what is wrong, where, and how to mend it.
 */

/** Errors that a call can end with; the name travels on the wire. */
export type CallErrorName =
  | 'Disallowed' // the simulation object refuses: no correct behaviour exists (MODEL: SO)
  | 'Retired' // the past simulation object of that version is no longer hosted
  | 'Unavailable' // the call was NOT executed; try again after `retryAfterMs` or at another replica
  | 'OutcomeUnknown' // the call may or may not have been executed; only a retry with the same id is safe
  | 'WouldBlock' // code that holds an object called a method that is not declared concurrent
  | 'NotCommitted' // a new object tried to change the world before its upgrade was committed
  | 'NoSuchMethod'
  | 'DeadlineExceeded'
  | 'Cancelled'
  | 'PayloadTooLarge'
  | 'ApplicationError' // the object's own code threw
  | 'NotStateless' // an SO hosted by the caller did more than one delegate call: part of it may have been executed
  | 'Forbidden' // NOT executed: the caller is not admitted to the fleet, or not on the method's access list
  | 'Misplaced' // between nodes only, NOT executed: the callee serves other versions than its caller took it to (SPEC G5)

/** Lowest and highest version that an object serves on a node. */
export type ServedRange = readonly [low: number, high: number]

/** A failed call. `retryAfterMs` is a hint that only `Unavailable` carries, `serves` is what `Misplaced` says. */
export class CallError extends Error {
  readonly retryAfterMs: number | undefined
  readonly serves: ServedRange | undefined
  constructor(
    name: CallErrorName,
    message: string,
    options: { retryAfterMs?: number; serves?: ServedRange; cause?: unknown } = {}
  ) {
    super(message, { cause: options.cause })
    this.name = name
    this.retryAfterMs = options.retryAfterMs
    this.serves = options.serves
  }
}

export const CALL_ERROR_NAMES: ReadonlySet<string> = new Set<CallErrorName>([
  'Disallowed',
  'Retired',
  'Unavailable',
  'OutcomeUnknown',
  'WouldBlock',
  'NotCommitted',
  'NoSuchMethod',
  'DeadlineExceeded',
  'Cancelled',
  'PayloadTooLarge',
  'ApplicationError',
  'NotStateless',
  'Forbidden',
  'Misplaced'
])

/** Why something from outside (wire, disk, command line, bundle) was refused. */
export type RefusalName =
  | 'Malformed' // not the shape or encoding that the format asks for
  | 'Oversize' // over a stated limit
  | 'WrongFleet' // belongs to another trust root
  | 'Unsigned' // no signature at all
  | 'WrongSignature' // a signature that does not verify, or by a key without that role
  | 'UnknownKey' // signed by a key that no root known here lists; a newer root may
  | 'Lapsed' // only an earlier root covers it, and no root vouches for it
  | 'WrongPassphrase' // of an encrypted key
  | 'UnderThreshold' // valid signatures, but fewer than the role needs
  | 'Expired' // first injection after `expires`
  | 'StaleParent' // not the next link of the chain
  | 'Fork' // a second valid entry on one parent
  | 'NotAdmitted' // without a ticket that admits it to a private fleet, or as something else than the ticket says
  | 'WrongBundle' // a piece or the whole does not have the hash that the entry names
  | 'UnsafePath' // absolute, with `..`, a link, or a name some file system would fold
  | 'UnknownClass'
  | 'UnknownStrategy' // a schedule this release does not know
  | 'Equivocation' // two statements with one key and sequence
  | 'DamagedStore'
  | 'DiskFailure' // the disk did not read or write; what is on it may be sound
  | 'NewerFormat' // written by a newer release
  | 'AddressInUse' // another program listens where this peer should
  | 'Locked' // another daemon uses the data directory
  | 'NoSpace'
  | 'Quarantined' // the state of a future SO that a TF needs has missed calls
  | 'CheckFailed' // the code of an upgrade does not do what its specification says
  | 'StillNeeded' // something known in the fleet needs what would be taken away
  | 'Unreachable'
  | 'Usage' // the command line or configuration is wrong

/** A refused input. */
export class Refusal extends Error {
  readonly code: RefusalName
  constructor(name: RefusalName, message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.name = name
    this.code = name
  }
}

/** Refusals of the world become values; anything else is a defect of ours and stays an exception. */
export function attempt<T>(action: () => T): T | Refusal {
  try {
    return action()
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
}
