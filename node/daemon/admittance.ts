/**
 * Who may come in from outside (SPEC A7, A8): callers and operators of a private fleet, by the tickets they show. In an
 * open fleet everybody may.
 */
import { attempt, CallError, Refusal } from '../../src/errors.ts'
import type { Peer } from '../../src/overlay/peer.ts'
import type { CallerIdentity } from '../../src/upgrade/access.ts'
import type { Ticket } from '../../src/upgrade/ticket.ts'

export class Admittance {
  readonly #peer: Peer

  constructor(peer: Peer) {
    this.#peer = peer
  }

  /** Why a peer or client may not call here; undefined if it may. */
  refusal(from: string, shown: string | undefined): CallError | undefined {
    const ticket = this.#ticket(from, shown)
    return ticket instanceof Refusal ? new CallError('Forbidden', `${ticket.message}; not executed`) : undefined
  }

  /** @throws Refusal NotAdmitted */
  check(from: string, shown: string | undefined): void {
    const ticket = this.#ticket(from, shown)
    if (ticket instanceof Refusal) throw ticket
  }

  /** What is known of a caller that was let in. `by`: the object whose code calls, as its node says. */
  identity(from: string, shown: string | undefined, by: string | undefined): CallerIdentity {
    const ticket = this.#ticket(from, shown)
    if (ticket === undefined || ticket instanceof Refusal) return { peer: from, object: by, isOperator: false }
    const isOf = by !== undefined && ticket.as === 'member' && (ticket.classes === null || ticket.classes.includes(by))
    return { peer: from, object: isOf ? by : undefined, isOperator: ticket.as === 'operator' }
  }

  /** Undefined in an open fleet, and of this peer itself. */
  #ticket(from: string, shown: string | undefined): Ticket | Refusal | undefined {
    if (!this.#peer.roots.trust.isPrivate || from === this.#peer.id) return undefined
    const mend =
      'show one with --ticket FILE --identity KEYFILE; "upstart admit KEYFILE.pub --operator" writes one for this private fleet'
    if (shown === undefined) return new Refusal('NotAdmitted', `${from} has shown no ticket; ${mend}`)
    const ticket = attempt(() => this.#peer.roots.trust.openTicket(shown))
    if (ticket instanceof Refusal) return ticket
    if (ticket.peer !== from)
      return new Refusal('NotAdmitted', `the ticket shown is of ${ticket.peer}, not of ${from}; ${mend}`)
    if (this.#peer.admission.isGood(ticket)) return ticket
    return new Refusal('NotAdmitted', `the ticket of ${from} has ended or was revoked; ${mend}`)
  }
}
