/**
 * One running peer: store, bundles, network, core, host and calls put together (SPEC D). Also what programs that embed a
 * peer start (`createPeer` in `node/index.ts`).
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Logger } from 'pino'
import { Refusal } from '../../src/errors.ts'
import type { Event, PeerInit } from '../../src/overlay/events.ts'
import { keptBytes } from '../../src/overlay/kept.ts'
import { Peer } from '../../src/overlay/peer.ts'
import { authority } from '../../src/upgrade/seal.ts'
import { openTrust, type Trust } from '../../src/upgrade/trust.ts'
import type { CallRequest, Value } from '../../src/versions/types.ts'
import { type Bundles, openBundles } from '../bundles/bundles.ts'
import { createRouter, type Router } from '../calls/router.ts'
import { type Calls, createCalls } from '../calls/session.ts'
import { ChildHost } from '../host/child.ts'
import type { Host, Outward } from '../host/host.ts'
import { bubblewrap } from '../host/sandbox.ts'
import { type LockChange, serveControl } from '../network/control.ts'
import { loadPeerKey, localToken, type PeerKey } from '../network/key.ts'
import { createNetwork, type Network, type NetworkHandlers } from '../network/network.ts'
import { syncDirectory } from '../store/directory.ts'
import { openStore, type Store } from '../store/store.ts'
import { Admittance } from './admittance.ts'
import { Callee } from './callee.ts'
import { type Configuration, isBeyondLoopback } from './configuration.ts'
import { candidates, entryOf, isRepeatable, mayHostForCaller, versionsOf } from './directory.ts'
import { Driver } from './driver.ts'
import { Guests } from './guests.ts'
import { historyOf, signedIn } from './history.ts'
import { Hosting } from './hosting.ts'
import { Injection } from './injection.ts'
import { Measures } from './measures.ts'
import { Moments } from './moments.ts'
import { RELEASE } from './release.ts'
import { type Status, statusOf } from './status.ts'
import { Tallying } from './tally.ts'
import { type Standing, standingOf, watchTicket } from './ticket.ts'

/** What `stop` of an object may take when the daemon ends. */
const STOP_MS = 2_500
const MIB = 1024 * 1024

export interface PeerOptions extends Configuration {
  /** Contents of the configuration's `root` file. */
  rootBytes: Uint8Array
  log: Logger
  /** Another host than child processes. */
  host?: Host
  /** The peer has failed and is closing. @default the error is thrown, and nobody catches it */
  failed?(error: unknown): void
  /** The peer has left the fleet (SPEC O12) and is closing. */
  left?(): void
}

export interface RunningPeer {
  readonly id: string
  addresses(): string[]
  call(request: CallRequest): Promise<Value>
  status(): Status
  readonly injection: Injection
  close(): Promise<void>
}

/** What a peer has open, in the order in which it was opened. */
interface Resources {
  store: Store
  trust: Trust
  key: PeerKey
  bundles: Bundles
  host: Host
  network: Network
  standing: Standing
}

export async function startPeer(options: PeerOptions): Promise<RunningPeer> {
  const closing: (() => Promise<void> | void)[] = []
  const closeAll = async (): Promise<void> => {
    for (const close of closing.splice(0).reverse()) await close()
  }
  try {
    // Children have working directories of their own: what they are told must not depend on ours.
    const located = { ...options, data: resolve(options.data) }
    const resources = await open(located, closing)
    const running = new Daemon(located, resources, closeAll)
    await running.start()
    return running
  } catch (error) {
    await closeAll()
    throw error
  }
}

async function open(options: PeerOptions, closing: (() => Promise<void> | void)[]): Promise<Resources> {
  const { data, rootBytes, listen } = options
  const given = openTrust(rootBytes)
  const store = openStore(data)
  closing.push(() => store.close())
  checkFleet(store.read(), given.fleet, data)
  const trust = newestTrust(given, store.read())
  const known = store.read().get('identity')
  const key = await loadPeerKey(join(data, 'peer.key'), known === undefined ? undefined : String(known))
  const standing = await standingOf(options, trust, key.peer)
  const bundles = await openBundles(join(data, 'bundles'))
  await mkdir(join(data, 'objects'), { recursive: true })
  // D31: the names of the key, and of the directories in which all else is made, before anything rests on them.
  syncDirectory(data)
  closing.push(() => bundles.close())
  const host = options.host ?? (await childHost(options))
  closing.push(() => host.close())
  const network = await createNetwork({
    key,
    listen,
    fleet: trust.fleet,
    mdns: options.mdns ?? listen.some(isBeyondLoopback)
  })
  closing.push(() => network.close())
  return { store, trust, key, bundles, host, network, standing }
}

class Daemon implements RunningPeer {
  readonly id: string
  readonly injection: Injection
  readonly #options: PeerOptions
  readonly #resources: Resources
  readonly #closeResources: () => Promise<void>
  readonly #core: Peer
  readonly #driver: Driver
  readonly #hosting: Hosting
  readonly #moments = new Moments()
  readonly #measures = new Measures({ tell: (event) => this.#driver.post(event) })
  readonly #tallying = new Tallying()
  readonly #admittance: Admittance
  readonly #callee: Callee
  readonly #progress = new Map<string, number>()
  readonly #begun = performance.now()
  #closed: Promise<void> | undefined
  #unwatch: (() => void) | undefined
  #calls!: Calls
  #guests!: Guests
  #router!: Router

  constructor(options: PeerOptions, resources: Resources, closeResources: () => Promise<void>) {
    const { store, trust, key, bundles } = resources
    const { network } = resources
    this.#options = options
    this.#resources = resources
    this.#closeResources = closeResources
    this.id = key.peer
    this.#core = new Peer(peerInit(options, resources), authority(trust, key.seed), store.read())
    this.#hosting = this.#createHosting()
    this.#driver = new Driver({
      peer: this.#core,
      store,
      network,
      bundles,
      run: (command) => this.#hosting.run(command),
      watchLoad: (thresholds) => this.#measures.watchLoad(thresholds),
      ask: async (bundle, module, facts) => resources.host.ask(join(await this.#driver.codeOf(bundle), module), facts),
      settled: () => {
        this.#moments.settled()
        this.#tallying.look(this.#core)
      },
      failed: (error) => this.#failed(error),
      left: () => this.#left(),
      log: options.log
    })
    const post = (event: Event): void => this.#driver.post(event)
    const admittance = new Admittance(this.#core)
    this.#admittance = admittance
    this.#callee = new Callee({ peer: this.#core, admittance, hosting: this.#hosting, moments: this.#moments, post })
    this.injection = new Injection(this.#core.roots, bundles, this.#driver)
  }

  async start(): Promise<void> {
    const { store, trust, bundles, network } = this.#resources
    // A data directory belongs to one peer of one fleet for ever.
    store.commit({
      put: [
        ['fleet', trust.fleet],
        ['identity', this.id]
      ],
      delete: []
    })
    const core = this.#core
    const driver = this.#driver
    this.#calls = await createCalls({
      wires: network,
      head: () => ({ head: core.log.head, statements: core.statements.digest }),
      headSeen: (from, head, statements) => driver.post({ type: 'head-seen', from, head, statements }),
      ticket: () => core.admission.own?.text,
      admit: (peer, ticket) => this.#admittance.refusal(peer, ticket),
      serve: (call) => this.#callee.call(call, call.signal)
    })
    this.#guests = this.#createGuests(this.#calls)
    this.#router = createRouter({
      self: this.id,
      calls: this.#calls,
      local: (call, by) => this.#callee.call(call, call.signal, by),
      attempt: (candidate, message, options) => this.#guests.call(candidate, message, options),
      reachable: (peer) => network.reachable(peer),
      candidates: (className, version, to) => candidates(core, className, version, to),
      entry: (className, version) => entryOf(core, className, version),
      idempotent: (className, version, method) => isRepeatable(core, className, version, method)
    })
    const { injection } = this
    await serveControl(network, {
      admit: ({ peer, ticket }) => this.#admittance.check(peer, ticket),
      status: () => this.status(),
      history: () => historyOf(this.#core),
      fault: (error) => this.#options.log.error({ error }, 'a request of an operator failed here'),
      injectEntry: (bytes) => injection.entry(bytes),
      injectPiece: (bundle, index, bytes) => injection.piece(bundle, index, bytes),
      injectStatement: (bytes) => injection.statement(bytes),
      injectRoot: (bytes) => driver.inject('root', bytes, true),
      signed: (from) => signedIn(core).slice(from),
      roots: (after) => core.roots.trust.roots.slice(after).map((root) => root.bytes),
      lock: (token, name, change) => this.#lock(token, name, change)
    })
    driver.post({ type: 'boot', bundles: bundles.held() })
    network.start(handlers(core, driver))
    this.#watchTicket()
    const { log } = this.#options
    log.info({ peer: this.id, addresses: network.addresses(), fleet: trust.fleet.slice(0, 16) }, 'peer started')
  }

  addresses(): string[] {
    return this.#resources.network.addresses()
  }

  call(request: CallRequest): Promise<Value> {
    return this.#router.call(request)
  }

  status(): Status {
    return statusOf({
      tally: this.#tallying.of(this.#core),
      peer: this.#core,
      release: RELEASE,
      sandbox: isConfining(this.#options) ? 'bwrap' : 'none',
      alarms: this.#driver.alarms,
      sent: this.#driver.sent,
      upMs: performance.now() - this.#begun,
      calls: this.#router.counts(),
      answered: this.#callee.answered(),
      guests: this.#guests.counts(),
      unavailable: (object) => this.#hosting.unavailable(object),
      progress: (object) => this.#progress.get(object) ?? 0
    })
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  #watchTicket(): void {
    const { ticket: path, log } = this.#options
    const known = this.#resources.standing.ticket
    if (path === null || known === undefined) return
    this.#unwatch = watchTicket(path, known, log, (ticket) => this.#driver.post({ type: 'ticket', ticket }))
  }

  /** N19. */
  async #lock(token: string, name: string, change: LockChange | null): Promise<string> {
    const own = Buffer.from(localToken(this.#resources.key.seed))
    if (token.length === own.length && timingSafeEqual(Buffer.from(token), own)) return this.#driver.lock(name, change)
    throw new Refusal('Unsigned', 'only programs that can read the data directory of this peer may lock its upgrades')
  }

  /** D20: loud, and nothing of it goes on. */
  #failed(error: unknown): void {
    const { log, failed } = this.#options
    log.fatal({ error }, 'the core or its store failed; the peer stops')
    this.close().catch((reason: unknown) => log.error({ error: reason }, 'did not end cleanly'))
    if (failed === undefined) throw error
    failed(error)
  }

  #left(): void {
    const { log, data, left } = this.#options
    log.info({ peer: this.id, data }, 'this peer has left the fleet; its data stays, and a new start brings it back')
    this.close().catch((reason: unknown) => log.error({ error: reason }, 'did not end cleanly'))
    left?.()
  }

  async #close(): Promise<void> {
    this.#unwatch?.()
    await Promise.all([this.#hosting.close(STOP_MS), this.#guests?.close()])
    await this.#calls.close()
    this.#driver.close()
    this.#moments.close()
    this.#measures.close()
    await this.#closeResources()
  }

  #createHosting(): Hosting {
    const { host } = this.#resources
    const { data, group } = this.#options
    return new Hosting({
      host,
      directory: join(data, 'objects'),
      peer: this.id,
      group,
      schema: (object, version) => this.#core.schemaFor(object, version),
      futureSchema: (object, version) =>
        this.#core.log.schemaOf(this.#core.objects.get(object)?.state.simulated?.[version] ?? ''),
      bundlePath: (sha256) => this.#driver.codeOf(sha256),
      outward: (object) => this.#outward(object),
      tell: (event) => this.#driver.post(event),
      progress: (object, fraction) => this.#progress.set(object, fraction),
      ended: (object, attempt, error) => this.#measures.ended(object, attempt, error),
      stops: (object, attempt) => this.#measures.stops(object, attempt),
      cut: (object, calls) =>
        this.#options.log.warn(
          { object, calls },
          'calls that ran longer than the drain allows were cut (OutcomeUnknown)'
        )
    })
  }

  #createGuests(calls: Calls): Guests {
    const { host } = this.#resources
    const core = this.#core
    return new Guests({
      peer: this.id,
      host,
      calls,
      versions: (className, version) => versionsOf(core, className, version),
      isReady: (sha256) => core.pieces.isReady(sha256),
      bundlePath: (sha256) => this.#driver.codeOf(sha256),
      mayHost: (versions, version) => mayHostForCaller(core, versions, version),
      log: this.#options.log
    })
  }

  /** Calls and questions of one object's code. */
  #outward(object: string): Outward {
    const { log } = this.#options
    return {
      call: ({ callId, held, observersOnly, ...request }) =>
        this.#router.call(request, { callId, held, observersOnly, by: object }),
      members: () => this.#core.members(),
      // Nested: what hosted code says must not pass for what the daemon says.
      log: (message, fields) => log.info({ object, fields }, message),
      faulty: (version, reason) => this.#driver.post({ type: 'quarantined', object, version, reason })
    }
  }
}

function peerInit(options: PeerOptions, { network, key, standing }: Resources): PeerInit {
  const bootstrap = options.bootstrap.map((address) => ({
    peer: address.slice(address.lastIndexOf('/') + 1),
    addresses: [address]
  }))
  const { group, drainMs, keepMs } = options
  const seed = randomBytes(6).readUIntBE(0, 6)
  return {
    peer: key.peer,
    group,
    addresses: network.addresses(),
    ...standing,
    ...(isConfining(options) ? { allowed: options.allow } : {}),
    bootstrap,
    seed,
    limits: { drainMs, keepMs }
  }
}

/** Whether code that is hosted here is confined. */
const isConfining = ({ sandbox }: PeerOptions): boolean => sandbox !== 'none' && bubblewrap() !== null

async function childHost(options: PeerOptions): Promise<Host> {
  const directory = join(options.data, 'host')
  await mkdir(directory, { recursive: true })
  const host = new ChildHost({
    directory,
    sandbox: options.sandbox,
    allowed: options.allow,
    codeDirectories: [join(options.data, 'bundles')],
    maxResidentBytes: options.memoryLimitMib * MIB
  })
  const ended = await host.endSurvivors()
  if (ended > 0) options.log.warn({ ended }, 'ended processes that an earlier daemon left behind')
  return host
}

/** With the roots that were heard of in an earlier life (O27). */
function newestTrust(trust: Trust, snapshot: ReadonlyMap<string, unknown>): Trust {
  return keptBytes(snapshot, 'root/').reduce((known, bytes) => known.rotated(bytes), trust)
}

/** A data directory belongs to one fleet for ever. */
function checkFleet(snapshot: ReadonlyMap<string, unknown>, fleet: string, data: string): void {
  const known = snapshot.get('fleet')
  if (known === undefined || known === fleet) return
  throw new Refusal(
    'WrongFleet',
    `${data} belongs to fleet ${String(known).slice(0, 16)}, the root file to ${fleet.slice(0, 16)}; give that fleet's root.json or another --data`
  )
}

function handlers(core: Peer, driver: Driver): NetworkHandlers {
  return {
    connected: (peer) => driver.post({ type: 'connected', peer }),
    disconnected: (peer) => driver.post({ type: 'disconnected', peer }),
    message: (from, message) => driver.post({ type: 'message', from, message }),
    admits: (peer) => core.admission.admits(peer),
    validate: (topic, bytes, from) => {
      const verdict = core.judge(topic, bytes)
      // Not passed on, and still news of whoever brings it: its roots may be newer than ours (O27).
      if (verdict === 'ignore') driver.post({ type: 'published', from, topic, bytes })
      return verdict
    },
    published: (from, topic, bytes) => driver.post({ type: 'published', from, topic, bytes }),
    addresses: (addresses) => driver.post({ type: 'addresses', addresses }),
    found: (peer, addresses) => driver.post({ type: 'found', peer, addresses })
  }
}
