/** The command `upstart` (SPEC C): all its commands over given outputs and a given way to reach a fleet. */
import { Command, CommanderError, Option } from 'commander'
import { Refusal } from '../../src/errors.ts'
import type { Credentials } from '../client.ts'
import { admissionCommands } from './admission.ts'
import { checkCommands } from './check.ts'
import { BadNews, exitCodeOf, processTerminal, type Terminal, writeFailure } from './command.ts'
import type { Connect } from './connection.ts'
import { fleetCommands } from './fleet.ts'
import { lockCommands } from './lock.ts'
import { rehearseCommands } from './rehearse.ts'
import { rootCommands } from './root.ts'
import { Ended, simCommands } from './sim.ts'
import { statementCommands } from './statements.ts'
import { statusCommands } from './status.ts'
import { trustCommands } from './trust.ts'
import { upgradeCommands } from './upgrade.ts'

export interface ProgramInit {
  connect: Connect
  release: string
  /** @default the process's own */
  terminal?: Terminal
}

function createProgram({ connect: reach, release }: ProgramInit, terminal: Terminal, args: readonly string[]): Command {
  const program = new Command('upstart')
    .description('define, sign and inject upgrades of a fleet, and watch it upgrade itself')
    .version(release)
    .option('--json', 'answer with one JSON object')
    .addOption(new Option('--ticket <file>', "an operator's ticket of a private fleet").env('UPSTART_TICKET'))
    .addOption(new Option('--identity <keyfile>', 'the private key that the ticket names').env('UPSTART_IDENTITY'))
    .showSuggestionAfterError()
    .exitOverride()
    // Commander's own messages are shown by `run`, in the one form that errors have.
    .configureOutput({ writeOut: (text) => terminal.out(text), writeErr: () => undefined })
  const connect: Connect = (root, peers) => reach(root, peers, credentialsOf(program.opts()))
  trustCommands(program, terminal)
  rootCommands(program, terminal, connect)
  upgradeCommands(program, terminal)
  checkCommands(program, terminal)
  rehearseCommands(program, terminal)
  simCommands(program, args)
  statementCommands(program, terminal, connect)
  admissionCommands(program, terminal, connect)
  fleetCommands(program, terminal, connect)
  lockCommands(program, terminal, connect)
  statusCommands(program, terminal, connect)
  return program
}

/** What shows to a private fleet who asks (C20). */
function credentialsOf({ ticket, identity }: { ticket?: string; identity?: string }): Credentials | undefined {
  if (ticket === undefined && identity === undefined) return undefined
  if (ticket !== undefined && identity !== undefined) return { ticket, key: identity }
  throw new Refusal('Usage', 'a ticket is shown by who has its key: give --ticket FILE and --identity KEYFILE, both')
}

/** A wrong command line as commander sees it, in our words. */
function usageOf(error: unknown, program: Command, args: readonly string[]): unknown {
  if (!(error instanceof CommanderError)) return error
  // `--json` may stand before the command.
  const name = args.find((one) => !one.startsWith('-'))
  const command = program.commands.find((one) => one.name() === name)
  // Commander gives its help as an error when no command is named; the message then is a placeholder.
  const text =
    error.code === 'commander.help' ? 'no command given' : error.message.replace(/^error: /, '').replace(/\.?$/, '')
  // An option that the environment may give is easily taken for one that need not be given.
  const lacking = /^required option '([^']+)'/.exec(text)?.[1]
  const variable = command?.options.find(({ flags }) => flags === lacking)?.envVar
  const mend = variable === undefined ? '' : ` (or set ${variable})`
  return new Refusal('Usage', `${text}${mend}; see "upstart ${command === undefined ? 'help' : `${name} --help`}"`, {
    cause: error
  })
}

/**
 * Runs one command line and returns its exit code; never throws and never ends the process.
 *
 * @param args without the program's name
 */
export async function run(args: readonly string[], init: ProgramInit): Promise<number> {
  const terminal = init.terminal ?? processTerminal
  const json = args.includes('--json')
  const program = createProgram(init, terminal, args)
  try {
    await program.parseAsync(args, { from: 'user' })
    return 0
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0
    if (error instanceof BadNews) return 1
    if (error instanceof Ended) return error.code
    if (!json && error instanceof CommanderError && error.code === 'commander.help') {
      const named = program.commands.find((one) => one.name() === args[0])
      terminal.error((named ?? program).helpInformation())
      return 2
    }
    const failure = usageOf(error, program, args)
    writeFailure(terminal, json, failure)
    return exitCodeOf(failure)
  }
}
