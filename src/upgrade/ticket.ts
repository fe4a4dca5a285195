/**
 * Tickets of private fleets (SPEC A): who may take part, as what. A ticket names a peer id, whose key every connection
 * proves; so it is no secret, and worth nothing to anybody else.
 */
import { z } from 'zod'
import { Refusal } from '../errors.ts'
import { hashSchema, nameSchema, peerIdSchema } from '../names.ts'

export const MAX_TICKET_BYTES = 4 * 1024
const MAX_TICKET_CLASSES = 32
const MAX_TICKET_LABELS = 16

export const ticketBodySchema = z.strictObject({
  format: z.literal(1),
  fleet: hashSchema,
  /** Whom it admits. */
  peer: peerIdSchema,
  /** Tickets of one peer are numbered upwards; a `revoke` ends those up to a number (A3). */
  number: z.int().min(1).max(Number.MAX_SAFE_INTEGER),
  /** `operator`: is no peer; may ask for status and history, and call from outside. */
  as: z.enum(['member', 'operator']),
  /** Objects that the peer may host; null: any. */
  classes: z
    .array(nameSchema)
    .min(1)
    .max(MAX_TICKET_CLASSES)
    .refine((names) => new Set(names).size === names.length, 'each class once')
    .nullable(),
  /** Labels that it has; null: whichever it gives itself. */
  labels: z
    .record(z.string().min(1).max(64), z.string().max(64))
    .refine((labels) => Object.keys(labels).length <= MAX_TICKET_LABELS, `at most ${MAX_TICKET_LABELS} labels`)
    .nullable()
})

export type TicketBody = z.infer<typeof ticketBodySchema>

/** A verified ticket. Immutable and shared; whether it is still good depends on the time and on revocations (A3). */
export interface Ticket extends TicketBody {
  /** ms; from then on it admits nobody. */
  readonly expires: number
  /** The signed document as it is shown: canonical JSON. */
  readonly text: string
}

/** What a peer says of itself that its ticket must cover. */
export interface Admitted {
  peer: string
  labels: Readonly<Record<string, string>>
  /** Names of its objects. */
  objects: readonly string[]
}

/** A5: a peer speaks as what it was admitted as, and as nothing else. @throws Refusal NotAdmitted */
export function checkCovers(ticket: Ticket, { peer, labels, objects }: Admitted): void {
  const refuse = (text: string): never => {
    throw new Refusal('NotAdmitted', `peer ${peer}: ${text}; let "upstart admit" write a ticket that does`)
  }
  if (ticket.peer !== peer) refuse(`its ticket is of ${ticket.peer}, it admits nobody else`)
  if (ticket.as !== 'member') refuse("its ticket is an operator's, it admits no peer")
  const { classes, labels: admitted } = ticket
  const object = classes === null ? undefined : objects.find((name) => !classes.includes(name))
  if (object !== undefined) refuse(`its ticket does not admit it as a host of ${object}`)
  const label = admitted === null ? undefined : Object.keys(labels).find((name) => labels[name] !== admitted[name])
  if (label !== undefined) refuse(`its ticket does not give it the label ${label}=${labels[label]}`)
}
