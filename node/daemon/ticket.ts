/** What admits this peer to a private fleet (SPEC A9): a file that its operator gives, and may replace while it runs. */
import { readFile, stat } from 'node:fs/promises'
import type { Logger } from 'pino'
import { Refusal } from '../../src/errors.ts'
import { checkCovers, MAX_TICKET_BYTES } from '../../src/upgrade/ticket.ts'
import type { Trust } from '../../src/upgrade/trust.ts'
import { ofFile, unreadable } from '../obstacles.ts'
import type { Configuration } from './configuration.ts'

/** Distance between two looks at the file. */
const LOOK_MS = 30_000

const MEND = 'give the ticket that "upstart admit" wrote'

/** @throws Refusal */
async function readTicket(path: string): Promise<string> {
  const { size } = await stat(path).catch(unreadable(`--ticket ${path}`, MEND))
  if (size > MAX_TICKET_BYTES)
    throw new Refusal('Oversize', `--ticket ${path}: ${size} bytes, the limit is ${MAX_TICKET_BYTES}; ${MEND}`)
  return (await readFile(path, 'utf8').catch(unreadable(`--ticket ${path}`, MEND))).trim()
}

/** As what this peer takes part: what its configuration says, within what its ticket does. */
export type Standing = Pick<Configuration, 'labels' | 'classes'> & { ticket?: string }

/** @throws Refusal NotAdmitted, with the mend: a ticket must name this peer */
export async function standingOf(configuration: Configuration, trust: Trust, peer: string): Promise<Standing> {
  const { labels, classes, ticket: path } = configuration
  if (!trust.isPrivate) return { labels, classes }
  if (path === null) {
    const mend = `ask for one ("upstart admit ${peer}") and give it with --ticket FILE`
    throw new Refusal('NotAdmitted', `this fleet is private, and peer ${peer} needs a ticket; ${mend}`)
  }
  const text = await readTicket(path)
  return ofFile(`--ticket ${path}`, () => {
    const ticket = trust.openTicket(text)
    checkCovers(ticket, { peer, labels, objects: classes ?? [] })
    return { labels: { ...ticket.labels, ...labels }, classes: classes ?? ticket.classes, ticket: text }
  })
}

/** Tells of each new content of the ticket's file. Returns how to stop. */
export function watchTicket(path: string, known: string, log: Logger, told: (ticket: string) => void): () => void {
  let last = known
  const look = async (): Promise<void> => {
    try {
      const text = await readTicket(path)
      if (text === last) return
      last = text
      told(text)
    } catch (error) {
      log.warn({ error }, 'the ticket of this peer cannot be read again; the last one counts')
    }
  }
  const timer = setInterval(() => void look(), LOOK_MS).unref()
  return () => clearInterval(timer)
}
