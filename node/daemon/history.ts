/** What a peer tells of what happened (SPEC O26, C18): entries and statements in order, and its own upgrades. Plain JSON. */
import type { UpgradeNote } from '../../src/overlay/chronicle.ts'
import type { Peer } from '../../src/overlay/peer.ts'
import type { StatementBody } from '../../src/upgrade/statement.ts'
import type { SignedItem } from '../network/control.ts'

/** Statements told, the newest. */
const MAX_STATEMENTS = 256

export type HistoryItem = {
  /** When it was first heard of here, or ended here; null: longer ago than this peer remembers. */
  at: string | null
} & (
  | { kind: 'entry'; version: number; hash: string; description: string; keys: string[] }
  | { kind: 'statement'; hash: string; keys: string[]; statement: StatementBody }
  | { kind: 'root'; version: number; hash: string; keys: string[] }
  | ({ kind: 'upgrade' } & UpgradeNote)
)

export interface History {
  peer: string
  /** What is older first. */
  items: HistoryItem[]
}

export function historyOf({ id, log, statements, roots, chronicle }: Peer): History {
  const heard = (hash: string): string | null => timeOf(chronicle.heardAt(hash))
  const entries = [...log.entries()].map(
    ({ version, hash, manifest, bytes }): HistoryItem => ({
      kind: 'entry',
      at: heard(hash),
      version,
      hash,
      description: manifest.description,
      keys: signersOf(bytes)
    })
  )
  const stated = [...statements.all()]
    .sort((a, b) => a.body.sequence - b.body.sequence)
    .slice(-MAX_STATEMENTS)
    .map(
      ({ hash, keys, body }): HistoryItem => ({
        kind: 'statement',
        at: heard(hash),
        hash,
        keys: [...keys],
        statement: body
      })
    )
  const upgrades = chronicle.upgrades.map((one): HistoryItem => ({ kind: 'upgrade', at: timeOf(one.endedAt), ...one }))
  const rotations = roots.trust.roots.slice(1).map(
    ({ version, hash, bytes }): HistoryItem => ({
      kind: 'root',
      at: heard(hash),
      version,
      hash,
      keys: signersOf(bytes)
    })
  )
  const items = [...rotations, ...entries, ...stated, ...upgrades].sort((a, b) =>
    (a.at ?? '').localeCompare(b.at ?? '')
  )
  return { peer: id, items }
}

/** Everything that is held, the upgrades first, and by order of statements' sequence: pages of it stay the same. */
export function signedIn({ log, statements }: Peer): SignedItem[] {
  const entries = [...log.entries()].map(({ hash, bytes }) => ({
    what: 'upgrade' as const,
    hash,
    keys: signersOf(bytes)
  }))
  const stated = [...statements.all()].sort((a, b) => a.body.sequence - b.body.sequence || (a.hash < b.hash ? -1 : 1))
  return [...entries, ...stated.map(({ hash, keys, body }) => ({ what: body.what, hash, keys: [...keys] }))]
}

const timeOf = (ms: number | undefined): string | null => (ms === undefined ? null : new Date(ms).toISOString())

/** The bytes were verified when the entry was heard of. */
function signersOf(bytes: Uint8Array): string[] {
  const { signatures } = JSON.parse(new TextDecoder().decode(bytes)) as { signatures: { keyid: string }[] }
  return signatures.map((one) => one.keyid)
}
