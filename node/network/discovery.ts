/**
 * Finds peers of the fleet on the local network by multicast DNS (SPEC N17). The name that is asked for comes from the
 * fleet's root, so two fleets on one network do not meet; what is found is an address to dial, nothing more.
 */
import type { PeerDiscovery, Startable } from '@libp2p/interface'
import { mdns } from '@libp2p/mdns'

export interface Discovery {
  /** `alone`: whether this peer has no session with anybody. */
  start(events: { found(peer: string, addresses: string[]): void; alone(): boolean }): void
  close(): void
}

/** Everybody answers every question, so questions are rare; whoever starts asks at once. */
const ASK_MS = 60 * 60_000
/** A peer that has found nobody asks again after this time: multicast may be lost, and others start later. */
const ASK_ALONE_MS = 10_000
/** Announcements heard between two such times, at most: anybody on the local network can make them. */
const MAX_FOUND = 256

export type MulticastService = PeerDiscovery & Startable

/** At most 15 letters and digits, as names of services are (RFC 6335). */
export const serviceTagOf = (fleet: string): string => `_up${fleet.slice(0, 13)}._udp.local`

/** A service for libp2p, which starts and stops it. */
export const multicastService = (fleet: string) => mdns({ serviceTag: serviceTagOf(fleet), interval: ASK_MS })

export class MulticastDiscovery implements Discovery {
  readonly #service: MulticastService
  #timer: NodeJS.Timeout | undefined
  #found = 0

  constructor(service: MulticastService) {
    this.#service = service
  }

  start({ found, alone }: Parameters<Discovery['start']>[0]): void {
    this.#service.addEventListener('peer', ({ detail }) => {
      this.#found += 1
      if (this.#found > MAX_FOUND) return
      const all = detail.multiaddrs.map((address) => address.toString())
      const elsewhere = all.filter((address) => !/^\/(ip4\/127\.|ip6\/::1\/)/.test(address))
      found(detail.id.toString(), (elsewhere.length > 0 ? elsewhere : all).slice(0, 8))
    })
    const ask = (): void => {
      this.#found = 0
      if (alone()) void this.#askAgain()
    }
    // What was heard before anybody listened is asked for again.
    ask()
    this.#timer = setInterval(ask, ASK_ALONE_MS).unref()
  }

  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** The service asks when it starts. */
  async #askAgain(): Promise<void> {
    await this.#service.stop()
    // libp2p has stopped it for good where this peer ended meanwhile.
    if (this.#timer !== undefined) await this.#service.start()
  }
}
