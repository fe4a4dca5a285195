/** `admit` and `revoke` (SPEC A2, A3, C20): who takes part in a private fleet. */
import type { Command } from 'commander'
import { Refusal } from '../../src/errors.ts'
import { explain } from '../../src/upgrade/canonical.ts'
import { parseTicket, signTicket } from '../../src/upgrade/entry.ts'
import { peerIdOf, publicKeyFromRaw } from '../../src/upgrade/keys.ts'
import { ticketBodySchema } from '../../src/upgrade/ticket.ts'
import { readPublicKey } from '../keys.ts'
import { type Answer, answering, type Terminal } from './command.ts'
import type { Connect } from './connection.ts'
import {
  asOption,
  expiry,
  outOption,
  peerOption,
  readSigners,
  readTrust,
  rootOption,
  type SigningOptions,
  several,
  signOption,
  signWithOption
} from './options.ts'
import { type StatementOptions, state } from './statements.ts'
import { writeWhole } from './whole.ts'

interface AdmitOptions extends SigningOptions {
  root: string
  operator?: true
  class?: string[]
  label?: string[]
  expires: string
  out: string
}

/** A peer id as it is, or that of a key file. */
async function peerNamed(text: string): Promise<string> {
  if (/^[1-9A-HJ-NP-Za-km-z]{40,64}$/.test(text)) return text
  const { keyval } = await readPublicKey(text)
  return peerIdOf(publicKeyFromRaw(Buffer.from(keyval.public, 'hex')))
}

function labelsOf(texts: readonly string[]): Record<string, string> {
  const pairs = texts.map((text): [string, string] => {
    const at = text.indexOf('=')
    if (at < 1) throw new Refusal('Usage', `--label ${text}: a label is written K=V`)
    return [text.slice(0, at), text.slice(at + 1)]
  })
  return Object.fromEntries(pairs)
}

async function admit(named: string, options: AdmitOptions): Promise<Answer> {
  const trust = await readTrust(options.root)
  if (!trust.isPrivate) throw new Refusal('Usage', `${options.root}: the fleet is open, everybody takes part in it`)
  const signers = await readSigners(options)
  const peer = await peerNamed(named)
  const body = ticketBodySchema.safeParse({
    format: 1,
    fleet: trust.fleet,
    peer,
    // Later tickets of a peer have larger numbers, without anybody keeping count.
    number: Date.now(),
    as: options.operator === true ? 'operator' : 'member',
    classes: options.class ?? null,
    labels: options.label === undefined ? null : labelsOf(options.label)
  })
  if (!body.success) throw new Refusal('Usage', `the ticket would be wrong: ${explain(body.error)}`)
  const bytes = signTicket(body.data, expiry(options.expires, Date.now()), signers)
  const { present, threshold } = trust.signatures('admission', parseTicket(bytes))
  await writeWhole(options.out, bytes)
  const missing =
    present < threshold ? `; ${present} of ${threshold} signatures, others add theirs with "upstart sign"` : ''
  const how =
    options.operator === true ? `--ticket ${options.out} --identity KEYFILE` : `upstart-peer --ticket ${options.out}`
  return {
    json: { path: options.out, ticket: body.data, signatures: present, threshold },
    text: `${options.out} written: ${peer} is admitted as ${body.data.as}${missing}; use it as ${how}`
  }
}

async function revoke(connect: Connect, named: string, options: StatementOptions): Promise<Answer> {
  const peer = await peerNamed(named)
  const said = await state(connect, options, async () => ({ what: 'revoke', peer, upTo: Date.now() }))
  const after = 'if it is in a roster, sign the next one without it; a new ticket ("upstart admit") lets it in again'
  return { ...said, text: `${said.text}\n${after}` }
}

export function admissionCommands(program: Command, terminal: Terminal, connect: Connect): void {
  answering<AdmitOptions>(
    program
      .command('admit')
      .description('write the ticket of a peer, or of an operator, of a private fleet')
      .argument('<peer>', 'its id, as "upstart-peer --peer-id" prints it; of an operator, a key file')
      .option('--operator', 'no peer: may ask for status and history, and call from outside')
      .option('--class <name>', 'host objects of this class only, by the name it began with (may be repeated)', several)
      .option('--label <k=v>', 'have these labels only (may be repeated; default: those that it gives itself)', several)
      .option('--expires <time>', 'until when it is admitted', '90d')
      .addOption(rootOption())
      .addOption(signOption())
      .addOption(signWithOption())
      .addOption(asOption())
      .addOption(outOption('the file to write').default('ticket.json')),
    terminal,
    (options, [peer]) => admit(peer!, options)
  )
  answering<StatementOptions>(
    program
      .command('revoke')
      .description('end all tickets of a peer that were written until now, for good')
      .argument('<peer>', 'its id, or a key file')
      .option('--note <text>', 'why', '')
      .option('--expires <time>', 'until when it can be injected', '366d')
      .addOption(rootOption())
      .addOption(peerOption())
      .addOption(signOption())
      .addOption(signWithOption())
      .addOption(asOption())
      .addOption(outOption('write the statement instead of injecting it')),
    terminal,
    (options, [peer]) => revoke(connect, peer!, options)
  )
}
