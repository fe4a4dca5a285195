/**
 * Which callers may call which methods (SPEC A8): an access list in the signed entry, checked by the node that is called.
 * A method that it does not name may be called by everybody who may call at all.
 */
import { z } from 'zod'
import { nameSchema, peerIdSchema } from '../names.ts'

const MAX_METHODS = 128
const MAX_NAMED = 32

/** Any one of these may call. */
const callersSchema = z
  .strictObject({
    /** Peers and clients by their id: the key of the connection proves it. */
    peers: z.array(peerIdSchema).min(1).max(MAX_NAMED).optional(),
    /** The code of objects of these classes; a private fleet's tickets say who hosts which. */
    classes: z.array(nameSchema).min(1).max(MAX_NAMED).optional(),
    /** Who has an operator's ticket. */
    operators: z.literal(true).optional()
  })
  .refine((one) => Object.keys(one).length > 0, 'say who may call: peers, classes or operators')

/** Method → who may call it. */
export const accessSchema = z
  .record(nameSchema, callersSchema)
  .refine((access) => Object.keys(access).length <= MAX_METHODS, `at most ${MAX_METHODS} methods`)

export type Access = z.infer<typeof accessSchema>

/** Who calls, as far as it is known. */
export interface CallerIdentity {
  peer: string
  /** The object whose code calls, as its node says and its ticket allows; undefined: a program's own call. */
  object: string | undefined
  isOperator: boolean
}

/** @param lineageOf the object that goes by a class name */
export function mayCall(
  access: Access | undefined,
  method: string,
  { peer, object, isOperator }: CallerIdentity,
  lineageOf: (className: string) => string | undefined
): boolean {
  const callers = access !== undefined && Object.hasOwn(access, method) ? access[method] : undefined
  if (callers === undefined) return true
  if (callers.operators === true && isOperator) return true
  if (callers.peers?.includes(peer) === true) return true
  return object !== undefined && callers.classes?.some((name) => (lineageOf(name) ?? name) === object) === true
}

/** In words, for whoever is refused. */
export function callersOf(access: Access, method: string): string {
  const { peers = [], classes = [], operators } = access[method]!
  const named = [...classes.map((name) => `class ${name}`), ...peers.map((peer) => `peer ${peer}`)]
  return [...named, ...(operators === true ? ['operators'] : [])].join(', ')
}
