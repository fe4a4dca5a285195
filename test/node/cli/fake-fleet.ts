/** A fleet that the command line talks to in tests: one answering machine, without a network. */
import type { Connection } from '../../../node/cli/connection.ts'
import type { History } from '../../../node/daemon/history.ts'
import type { Status } from '../../../node/daemon/status.ts'
import type { SignedItem } from '../../../node/network/control.ts'
import type { Trust } from '../../../src/upgrade/trust.ts'

export const ADDRESS = '/ip4/127.0.0.1/tcp/1/p2p/12D3KooWE9ZjYQB1PF3a2QBJLTs2fLHTE6x2Tje5aEwyEZ73FwWK'
export const MEMBERS = [
  '12D3KooWE9ZjYQB1PF3a2QBJLTs2fLHTE6x2Tje5aEwyEZ73FwWK',
  '12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo'
]

/** A fleet of one answering machine that trusts what the root trusts. */
export class FakeFleet {
  trust: Trust | null = null
  readonly injected: string[] = []
  readonly calls: unknown[] = []
  closed = 0
  status: Status = {
    fleet: 'f'.repeat(64),
    peer: MEMBERS[0]!,
    release: '0',
    at: '2030-01-01T12:00:00.000Z',
    upMs: 1,
    addresses: [ADDRESS],
    head: { version: 1, hash: 'a'.repeat(64) },
    root: { version: 1, hash: 'f'.repeat(64), expires: '2090-01-01T00:00:00.000Z', lapsed: [] },
    log: [
      {
        version: 1,
        hash: 'a'.repeat(64),
        description: 'sets\nmore',
        replaces: [],
        aborted: false,
        retired: false,
        rehearsed: [],
        evidence: null,
        classes: [{ name: 'IntSet', object: 'IntSet', calls: {} }]
      }
    ],
    fork: [],
    locks: [],
    pauses: [
      {
        hash: 'b'.repeat(64),
        target: null,
        of: null,
        note: 'lunch',
        expires: '2090-01-01T00:00:00.000Z',
        keys: ['c'.repeat(64)],
        holds: 1
      }
    ],
    tally: {
      by: 'records',
      ageMs: 0,
      known: 2,
      objects: [
        {
          object: 'IntSet',
          className: 'ColorSet',
          peers: 2,
          versions: [
            { version: 2, run: 0, simulate: 2, failed: 0, phases: { waiting: 2 } },
            { version: 1, run: 2, simulate: 0, failed: 0, phases: {} }
          ],
          perMinute: null,
          leftMs: null
        }
      ]
    },
    rosters: [{ group: 'g', number: 4, members: [MEMBERS[0]!] }],
    objects: {},
    neighbours: [],
    ticket: null,
    leaving: null,
    sent: {},
    peers: MEMBERS.map((peer, at) => ({
      peer,
      self: at === 0,
      connected: true,
      left: false,
      group: 'g',
      labels: {},
      addresses: [],
      head: { version: 1, hash: 'a'.repeat(64) },
      objects: {
        IntSet: {
          version: 1,
          entry: 'a'.repeat(16),
          lowest: 1,
          highest: 2,
          phase: 'waiting',
          target: 2,
          serving: true,
          reason: 'one member of g is down',
          failed: []
        }
      }
    })),
    calls: [],
    answered: [],
    guests: [{ object: 'IntSet', class: 'ColorSet', version: 2, delegate: 1, count: 3 }],
    sandbox: 'none',
    alarms: []
  }

  signed: SignedItem[] = []
  history: History = { peer: MEMBERS[0]!, items: [] }

  connect = async (): Promise<Connection> => ({
    status: async () => this.status,
    history: async () => this.history,
    injectUpgrade: async (file) => {
      this.injected.push(`version ${this.trust!.openEntry(file.envelope.bytes).version}`)
      return 'accepted'
    },
    injectStatement: async (bytes) => {
      const { body } = this.trust!.openStatement(bytes)
      this.injected.push(JSON.stringify(body))
      return 'accepted'
    },
    injectRoot: async (bytes) => {
      this.trust = this.trust!.rotated(bytes)
      this.injected.push(`root ${this.trust.root.version}`)
      return 'accepted'
    },
    trust: async () => this.trust!,
    signed: async () => this.signed,
    lock: async (_, name, change) => `lock ${name} ${JSON.stringify(change)}`,
    call: async (request) => {
      this.calls.push(request)
      return request.args.length > 0 ? request.args : 7n
    },
    close: async () => {
      this.closed++
    }
  })
}
