/**
 * The light client (SPEC N16): for programs that are no peers. It listens on nothing, has a key for this run only, knows
 * the fleet by its root, and learns from the peers it talks to where the others are.
 */
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { Refusal } from '../src/errors.ts'
import { hashSchema, peerIdSchema } from '../src/names.ts'
import { openTrust, type Trust } from '../src/upgrade/trust.ts'
import type { CallRequest, CallTarget, Value } from '../src/versions/types.ts'
import { type CallCount, type Candidate, createRouter, type Router } from './calls/router.ts'
import { type Calls, createCalls } from './calls/session.ts'
import type { History } from './daemon/history.ts'
import type { PeerStatus, Status } from './daemon/status.ts'
import { readSeed } from './keys.ts'
import { type Control, type LockChange, openControl, type SignedItem } from './network/control.ts'
import { createPeerKey } from './network/key.ts'
import type { Wires } from './network/network.ts'
import { createNode, Libp2pTransport, peerOfAddress } from './network/transport.ts'
import { protocolOf } from './network/wire.ts'
import type { UpgradeFile } from './pack/file.ts'

export interface ClientInit {
  /** Contents of the fleet's root.json, or its path. */
  root: Uint8Array | string
  /** Addresses of one peer or more, each ending in /p2p/⟨peer⟩; others are learned from them. */
  peers: readonly string[]
  /** What admits this program to a private fleet (SPEC A7). */
  credentials?: Credentials | undefined
}

export interface Credentials {
  /** The signed ticket, or the path of its file. */
  ticket: Uint8Array | string
  /** Path of the key file (`upstart keygen`) of the peer id that the ticket names. */
  key: string
}

export interface Client {
  /** Rejects with CallError. `class` and `version` say what this program was written for. */
  call(request: CallRequest): Promise<Value>
  /** Of the first peer that answers. */
  status(): Promise<Status>
  /** What happened, as the first peer that answers saw it. */
  history(): Promise<History>
  /** Gives an upgrade to one peer: its entry, and the pieces that the peer lacks. Resolves when they are durable there. */
  injectUpgrade(
    file: Pick<UpgradeFile, 'envelope' | 'piece'>,
    progress?: (done: number, of: number) => void
  ): Promise<string>
  injectStatement(bytes: Uint8Array): Promise<string>
  injectRoot(bytes: Uint8Array): Promise<string>
  /** What the fleet trusts, by the roots that the first peer that answers has and that continue those given here. */
  trust(): Promise<Trust>
  /** Who signed what that peer holds. */
  signed(): Promise<SignedItem[]>
  /** For programs of a peer's host: holds up upgrades there, or releases that with null (SPEC S26). */
  lock(token: string, name: string, change: LockChange | null): Promise<string>
  /** Calls made, by what was called and how it ended. */
  counts(): CallCount[]
  close(): Promise<void>
}

/** How old the knowledge of others may be before a call asks for it anew, ms. */
const STALE_MS = 5_000
const ASK_AGAIN_MS = 200
/** Pieces under way at once: the disk of the peer works while the next one travels. */
const PIECES_IN_FLIGHT = 4

/** The part of a status that this client relies on; the rest is passed on as it is. */
const statusSchema = z.looseObject({
  fleet: hashSchema,
  peer: peerIdSchema,
  objects: z.record(z.string(), z.looseObject({ className: z.string() })),
  peers: z.array(
    z.looseObject({
      peer: peerIdSchema,
      group: z.string().nullable(),
      addresses: z.array(z.string()),
      objects: z.record(z.string(), z.looseObject({ lowest: z.number(), highest: z.number(), serving: z.boolean() }))
    })
  )
})

const historySchema = z.looseObject({ peer: peerIdSchema, items: z.array(z.looseObject({ kind: z.string() })) })

/** Nothing is dialled yet. Throws Refusal `Usage` for addresses that are none, and what is wrong with the root. */
export async function createClient(init: ClientInit): Promise<Client> {
  const root = typeof init.root === 'string' ? await readFile(init.root) : init.root
  const trust = openTrust(root)
  const { fleet } = trust
  const seeds = new Map<string, string[]>()
  for (const address of init.peers) {
    const peer = peerOfAddress(address)
    seeds.set(peer, [...(seeds.get(peer) ?? []), address])
  }
  if (seeds.size === 0) throw new Refusal('Usage', 'no peer to talk to: give the address of at least one')
  const shown = await shownBy(init.credentials)
  const node = await createNode({ key: await createPeerKey(shown?.seed), listen: [] }, () => false)
  const transport = new Libp2pTransport(node)
  const wires = wiresOf(fleet, transport)
  const ticket = () => shown?.ticket
  return new LightClient(wires, await createCalls({ wires, ticket }), seeds, trust, ticket, () => transport.close())
}

async function shownBy(
  credentials: Credentials | undefined
): Promise<{ ticket: string; seed: Uint8Array } | undefined> {
  if (credentials === undefined) return undefined
  const { ticket } = credentials
  const bytes = typeof ticket === 'string' ? await readFile(ticket) : ticket
  return { ticket: new TextDecoder().decode(bytes), seed: await readSeed(credentials.key) }
}

function wiresOf(fleet: string, transport: Libp2pTransport): Wires {
  return {
    peer: transport.peer,
    fleet,
    reachable: (peer) => transport.connected(peer),
    serve: async (name) => {
      throw new Error(`a client serves nothing, ${name} neither`)
    },
    wire: async (peer, addresses, name, signal) => {
      await transport.dial(peer, addresses, signal)
      const wire = await transport.open(peer, protocolOf(fleet, name), signal)
      if (wire !== undefined) return wire
      throw new Refusal('WrongFleet', `peer ${peer} does not belong to fleet ${fleet.slice(0, 16)}; use its root.json`)
    }
  }
}

class LightClient implements Client {
  readonly #wires: Wires
  readonly #calls: Calls
  readonly #router: Router
  readonly #seeds: ReadonlyMap<string, string[]>
  readonly #ticket: () => string | undefined
  readonly #end: () => Promise<void>
  #trust: Trust
  #control: Control | undefined
  #status: Status | undefined
  #statusAt = Number.NEGATIVE_INFINITY
  #asking: Promise<Status> | undefined

  constructor(
    wires: Wires,
    calls: Calls,
    seeds: ReadonlyMap<string, string[]>,
    trust: Trust,
    ticket: () => string | undefined,
    end: () => Promise<void>
  ) {
    this.#trust = trust
    this.#ticket = ticket
    this.#wires = wires
    this.#calls = calls
    this.#seeds = seeds
    this.#end = end
    this.#router = createRouter({
      self: null,
      calls,
      reachable: (peer) => wires.reachable(peer),
      candidates: (className, version, to) => this.#candidates(className, version, to)
    })
  }

  async call(request: CallRequest): Promise<Value> {
    // Only the first call waits for what is known of others; later ones go on with what there is.
    if (this.#status === undefined) await this.#learn()
    return await this.#router.call(request)
  }

  async status(): Promise<Status> {
    this.#asking ??= this.#askStatus().finally(() => {
      this.#asking = undefined
    })
    return await this.#asking
  }

  async history(): Promise<History> {
    const control = await this.#operator()
    const history = historySchema.safeParse(await control.history())
    if (!history.success)
      throw new Refusal('Malformed', 'the history of the peer cannot be read; is it of another release?')
    return history.data as unknown as History
  }

  async injectUpgrade(
    file: Pick<UpgradeFile, 'envelope' | 'piece'>,
    progress: (done: number, of: number) => void = () => undefined
  ): Promise<string> {
    const { bytes, content } = file.envelope
    const control = await this.#operator()
    const first = await control.injectEntry(bytes)
    if ('accepted' in first) return first.accepted
    const left = first.need.values()
    let done = 0
    progress(done, first.need.length)
    const send = async (): Promise<void> => {
      for (const index of left) {
        await control.injectPiece(content.bundle.sha256, index, await file.piece(index))
        done += 1
        progress(done, first.need.length)
      }
    }
    await Promise.all(Array.from({ length: PIECES_IN_FLIGHT }, send))
    const last = await control.injectEntry(bytes)
    if ('accepted' in last) return last.accepted
    throw new Refusal('WrongBundle', `the peer still lacks ${last.need.length} pieces of the bundle; inject it again`)
  }

  async injectStatement(bytes: Uint8Array): Promise<string> {
    const control = await this.#operator()
    return await control.injectStatement(bytes)
  }

  async injectRoot(bytes: Uint8Array): Promise<string> {
    const control = await this.#operator()
    return await control.injectRoot(bytes)
  }

  /** A peer that holds roots back is believed no more than it shows: whoever signs by old ones is refused by the others. */
  async trust(): Promise<Trust> {
    const control = await this.#operator()
    for (;;) {
      const known = this.#trust
      const told = await control.roots(known.root.version)
      this.#trust = told.reduce((trust, root) => trust.rotated(root), known)
      if (this.#trust === known) return known
    }
  }

  async signed(): Promise<SignedItem[]> {
    const control = await this.#operator()
    return await control.signed()
  }

  async lock(token: string, name: string, change: LockChange | null): Promise<string> {
    const control = await this.#operator()
    return await control.lock(token, name, change)
  }

  counts(): CallCount[] {
    return this.#router.counts()
  }

  async close(): Promise<void> {
    await this.#calls.close()
    await this.#control?.close()
    await this.#end()
  }

  /** That nobody answers is reported by the call that wanted to know: it goes to the peers it was given. */
  async #learn(): Promise<void> {
    await this.status().catch(() => undefined)
  }

  async #askStatus(): Promise<Status> {
    const control = await this.#operator()
    const status = statusSchema.safeParse(await control.status())
    if (!status.success) {
      const issue = status.error.issues[0]
      throw new Refusal(
        'Malformed',
        `the status of the peer cannot be read: ${issue?.path.join('.')}: ${issue?.message}`
      )
    }
    this.#status = status.data as unknown as Status
    this.#statusAt = performance.now()
    return this.#status
  }

  /** A control wire to the first peer that gives one: those named by the user first. Throws Refusal. */
  async #operator(): Promise<Control> {
    if (this.#control?.open) return this.#control
    const learned = (this.#status?.peers ?? []).map(({ peer, addresses }) => [peer, addresses] as const)
    const failures: Refusal[] = []
    for (const [peer, addresses] of new Map([...this.#seeds, ...learned.filter(([peer]) => !this.#seeds.has(peer))])) {
      try {
        const control = await openControl(this.#wires, peer, addresses)
        this.#control = control
        const ticket = this.#ticket()
        if (ticket !== undefined) await control.ticket(ticket)
        return control
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        failures.push(error)
      }
    }
    const worst = failures.find(({ code }) => code === 'WrongFleet' || code === 'NotAdmitted') ?? failures[0]!
    throw new Refusal(worst.code, failures.map(({ message }) => message).join('; '), { cause: worst })
  }

  #candidates(className: string, version: number, to: NonNullable<CallTarget['to']>): Candidate[] {
    const status = this.#status
    const known = (status?.peers ?? []).flatMap((peer) => this.#candidate(peer, className, to))
    // What was learned may be old: while nobody is known to serve the version, each round of the router asks again.
    const served = known.some(({ serving, serves }) => serving && serves[0] <= version && version <= serves[1])
    // And a call that goes on for long hears of peers that came back at another address.
    const ageMs = performance.now() - this.#statusAt
    if (ageMs > STALE_MS || (!served && ageMs > ASK_AGAIN_MS)) void this.#learn()
    if (known.length > 0 || (typeof to === 'object' && 'group' in to)) return known
    // Nothing is known yet, or nothing about that peer: the peers that the user named may still serve it.
    const named = [...this.#seeds].filter(([peer]) => typeof to !== 'object' || peer === to.peer)
    return named.map(([peer, addresses]) => ({ peer, addresses, serving: true, serves: [version, version] as const }))
  }

  #candidate(peer: PeerStatus, className: string, to: NonNullable<CallTarget['to']>): Candidate[] {
    if (typeof to === 'object' && ('peer' in to ? to.peer !== peer.peer : to.group !== peer.group)) return []
    const own = Object.entries(this.#status?.objects ?? {}).find(([, object]) => object.className === className)
    const lineage = own?.[0] ?? className
    const { peer: name, addresses } = peer
    const hosted = peer.objects[lineage]
    if (hosted !== undefined)
      return [{ peer: name, addresses, serving: hosted.serving, serves: [hosted.lowest, hosted.highest] }]
    // The class may go by another name there: asked last, and it answers Unavailable if it hosts nothing of the kind.
    return own === undefined && Object.keys(peer.objects).length > 0
      ? [{ peer: name, addresses, serving: false, serves: [0, 0] }]
      : []
  }
}
