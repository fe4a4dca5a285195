/**
 * What a peer takes in: entries, statements and records, each verified before it is kept or passed on (SPEC T, O6).
 * A refusal is returned, not thrown: the peer decides what it means for the sender.
 */
import { attempt, Refusal } from '../errors.ts'
import type { UpgradeLog } from '../upgrade/log.ts'
import type { Entry, Manifest } from '../upgrade/manifest.ts'
import { checkSchedules } from '../upgrade/scheduling.ts'
import type { Statement } from '../upgrade/statement.ts'
import type { StatementSet } from '../upgrade/statements.ts'
import type { Admission } from './admission.ts'
import type { Chronicle } from './chronicle.ts'
import type { Authority, Event, Topic, Trusted } from './events.ts'
import type { Outbox } from './outbox.ts'
import type { SignedRecord } from './record.ts'
import type { Roots } from './roots.ts'
import type { View } from './view.ts'

export type Learned =
  | { what: 'new' | 'known' | 'orphan' }
  /** T14: it counted once. Whoever sent it may not have heard of the newest root. */
  | { what: 'lapsed' }
  /** The record of a peer that is not admitted (now): not kept. */
  | { what: 'stranger' }
  /** The bytes are not what they claim: whoever sent them broke a rule. */
  | { what: 'forged'; refusal: Refusal }
  /** Signed as it must be, and still of no use to the fleet: not the sender's fault. */
  | { what: 'unfit'; refusal: Refusal }

export class Learning {
  readonly #authority: Authority
  readonly #roots: Roots
  readonly #log: UpgradeLog
  readonly #statements: StatementSet
  readonly #view: View
  readonly #outbox: Outbox
  readonly #chronicle: Chronicle
  readonly #admission: Admission

  constructor(parts: {
    authority: Authority
    roots: Roots
    log: UpgradeLog
    statements: StatementSet
    view: View
    outbox: Outbox
    chronicle: Chronicle
    admission: Admission
  }) {
    this.#chronicle = parts.chronicle
    this.#admission = parts.admission
    this.#authority = parts.authority
    this.#roots = parts.roots
    this.#log = parts.log
    this.#statements = parts.statements
    this.#view = parts.view
    this.#outbox = parts.outbox
  }

  entry(bytes: Uint8Array): Learned {
    const opened = attempt(() => this.#trust.openEntry(bytes))
    if (opened instanceof Refusal) return { what: 'forged', refusal: opened }
    if (!this.#log.has(opened.hash) && !this.#trust.covers('entry', bytes)) return { what: 'lapsed' }
    return this.#addEntry(opened)
  }

  /**
   * What was kept, lapsed or not (T14). Entries come parents first; one may replace others of its own version and later
   * ones (R1): it waits for those.
   */
  restore(entries: readonly Uint8Array[], statements: readonly Uint8Array[]): void {
    let left = [...entries]
    for (let before = -1; before !== left.length; ) {
      before = left.length
      left = left.filter((bytes) => this.#addEntry(this.#trust.openEntry(bytes)).what === 'orphan')
    }
    for (const bytes of statements) this.#addStatement(this.#trust.openStatement(bytes))
  }

  statement(bytes: Uint8Array): Learned {
    const opened = attempt(() => this.#trust.openStatement(bytes))
    if (opened instanceof Refusal) return { what: 'forged', refusal: opened }
    if (!this.#statements.has(opened.hash) && !this.#trust.covers('statement', bytes)) return { what: 'lapsed' }
    return this.#addStatement(opened)
  }

  /**
   * What is broadcast is passed on if it is what its topic says, signed as it asks. `ignore`: it is not, and whoever brings
   * it may still be honest: its roots are others than ours (O27).
   */
  judge(topic: Topic, bytes: Uint8Array): 'accept' | 'ignore' | 'reject' {
    const open = () => (topic === 'entry' ? this.#trust.openEntry(bytes) : this.#trust.openStatement(bytes))
    const opened = attempt(open)
    if (opened instanceof Refusal) return opened.code === 'UnknownKey' ? 'ignore' : 'reject'
    return this.#trust.covers(topic, bytes) ? 'accept' : 'ignore'
  }

  get #trust(): Trusted {
    return this.#roots.trust
  }

  /** @param heardAt the last sign of life of its peer that anybody told of, ms */
  record(bytes: Uint8Array, heardAt: number): Learned & { signed?: SignedRecord } {
    const signed = attempt(() => this.#authority.openRecord(bytes))
    if (signed instanceof Refusal) return { what: 'forged', refusal: signed }
    // A5: nobody's fault: peers hear of revocations at different times, and their clocks differ.
    if (!this.#admission.covers(signed)) return { what: 'stranger' }
    return { what: this.#view.put(signed, heardAt) ? 'new' : 'known', signed }
  }

  /** An operator's entry: what the chain would take but the operator should not send is refused with the mend. */
  injectEntry(event: Extract<Event, { type: 'inject' }>, now: number): Entry | Refusal {
    const entry = attempt(() => this.#trust.openEntry(event.bytes))
    if (entry instanceof Refusal || this.#log.has(entry.hash)) return entry
    if (!this.#trust.covers('entry', event.bytes)) return this.#lapsed(`the entry of version ${entry.version}`)
    if (this.#trust.expired(event.bytes, now)) {
      return new Refusal(
        'Expired',
        `the entry of version ${entry.version}, or root ${this.#roots.head.version}, is past its expiry; sign it again with a later one, or make the next root`
      )
    }
    const leads = attempt(() => this.#log.wouldLead(entry))
    if (leads instanceof Refusal) return leads
    if (!leads) return this.#stale(entry)
    const scheduled = attempt(() => checkSchedules(entry.manifest, this.#before(entry)))
    if (scheduled instanceof Refusal) return scheduled
    if (!event.bundleHeld)
      return new Refusal(
        'WrongBundle',
        `the bundle of version ${entry.version} was not sent whole; inject the upgrade file again`
      )
    const learned = this.#addEntry(entry)
    return 'refusal' in learned ? learned.refusal : entry
  }

  #lapsed(what: string): Refusal {
    const text = `${what} is signed by keys of an earlier root, which root ${this.#roots.head.version} does not cover; sign it with those of that root`
    return new Refusal('Lapsed', text)
  }

  /** The manifests that an entry is chained on, ascending. */
  #before(entry: Entry): Manifest[] {
    const before: Manifest[] = []
    for (let one = this.#log.get(entry.parent); one !== undefined; one = this.#log.get(one.parent))
      before.unshift(one.manifest)
    return before
  }

  #stale(entry: Entry): Refusal {
    const { head, fork } = this.#log
    const on = `version ${entry.version} was packed on ${entry.parent.slice(0, 12)}, but `
    const unknown = entry.manifest.replaces?.find((hash) => !this.#log.has(hash))
    if (unknown !== undefined) {
      const text = `version ${entry.version} replaces entry ${unknown.slice(0, 12)}, which is not known here; inject it at a peer that knows it`
      return new Refusal('StaleParent', text)
    }
    if (fork.length > 0) {
      const branches = fork.map((one) => one.hash.slice(0, 12)).join(' and ')
      const text = `${on}the log forks into ${branches} at version ${fork[0]!.version}; pack one on a branch that replaces both`
      return new Refusal('StaleParent', text)
    }
    const newest = `the newest entry is version ${head.version} (${head.hash.slice(0, 12)})`
    const mend =
      entry.version > head.version + 1
        ? `inject version ${head.version + 1} first`
        : `pack it again as version ${head.version + 1}, on that one`
    const text = `${on}${newest}; ${mend}`
    return new Refusal('StaleParent', text)
  }

  injectStatement(event: Extract<Event, { type: 'inject' }>, now: number): Statement | Refusal {
    const statement = attempt(() => this.#trust.openStatement(event.bytes))
    if (statement instanceof Refusal || this.#statements.has(statement.hash)) return statement
    if (!this.#trust.covers('statement', event.bytes)) return this.#lapsed('the statement')
    const { body } = statement
    if (body.what === 'pause' && statement.expires <= now)
      return new Refusal('Expired', 'the pause is past its expiry; sign a new one')
    if (body.what === 'roster') {
      const newest = this.#statements.newestRoster(body.group)
      if (body.number !== newest + 1) {
        return new Refusal(
          'StaleParent',
          `roster ${body.number} of group ${body.group}: the newest known here is ${newest}; sign roster ${newest + 1}`
        )
      }
    }
    if (body.what === 'resume' && !this.#statements.has(body.lifts)) {
      return new Refusal(
        'Malformed',
        `no statement ${body.lifts.slice(0, 12)} is known here; name the hash of a pause that status shows`
      )
    }
    const learned = this.#addStatement(statement)
    return 'refusal' in learned ? learned.refusal : statement
  }

  #addEntry(entry: Entry): Learned {
    const addition = attempt(() => this.#log.add(entry))
    if (addition instanceof Refusal) return { what: 'unfit', refusal: addition }
    if (addition === 'known' || addition === 'orphan') return { what: addition }
    this.#outbox.persist(`entry/${String(entry.version).padStart(7, '0')}/${entry.hash}`, entry.bytes)
    this.#chronicle.hear(entry.hash)
    if (addition === 'fork') {
      const text = `two upgrades of version ${entry.version} stand on one parent; no undecided peer runs either until an entry replaces both`
      this.#outbox.send({ type: 'alarm', name: 'Fork', text })
    }
    return { what: 'new' }
  }

  #addStatement(statement: Statement): Learned {
    const addition = this.#statements.add(statement)
    if (addition === 'known') return { what: 'known' }
    this.#outbox.persist(`statement/${statement.hash}`, statement.bytes)
    this.#chronicle.hear(statement.hash)
    if (addition === 'equivocation') {
      const text = `key ${statement.keys.join()} signed two different statements with sequence ${statement.body.sequence}; the more cautious counts`
      this.#outbox.send({ type: 'alarm', name: 'Equivocation', text })
    }
    return { what: 'new' }
  }
}
