/**
 * How every command of `upstart` answers (SPEC C1): a result for people, the same as one JSON object with `--json`;
 * errors as one line with the mend (or `{ "error": { name, message } }`) and an exit code that is not 0.
 */
import type { Command } from 'commander'
import { CallError, Refusal } from '../../src/errors.ts'

export interface Answer {
  json: Record<string, unknown>
  /** One or more lines. */
  text: string
  /** The answer is that something is wrong: the exit code is 1. */
  failed?: boolean
}

/** An answer was given, and it is bad news. */
export class BadNews extends Error {}

export interface Terminal {
  out(text: string): void
  error(text: string): void
  /** Width of the output, where it is a screen. */
  columns?(): number | undefined
  /** What goes on, on one line that the next one overwrites; nothing in a pipe. */
  progress?(text: string): void
}

/** The two outputs of the running process. */
export const processTerminal: Terminal = {
  out: (text) => process.stdout.write(text),
  error: (text) => process.stderr.write(text),
  columns: () => process.stdout.columns,
  progress: (text) => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
  }
}

interface Global {
  json?: boolean
}

/** What other peers say of themselves is shown, and must not steer the terminal that shows it. */
export const legible = (text: string): string => text.replace(/[^\P{Cc}\n\t]/gu, '\u{fffd}')

const oneLine = (text: string): string => text.replace(/\s*\n\s*/g, ' ').trim()

/** What is known of a failure, in one line. Errors of the file system and network carry a code, ours a name. */
export function failureOf(error: unknown): { name: string; message: string } {
  if (error instanceof Refusal || error instanceof CallError)
    return { name: error.name, message: oneLine(error.message) }
  const { name, message, code } = error as NodeJS.ErrnoException
  return { name: code ?? name ?? 'Error', message: oneLine(message ?? String(error)) }
}

/** 2 for a wrong command line, 1 for everything else that failed. */
export function exitCodeOf(error: unknown): number {
  return error instanceof Refusal && error.code === 'Usage' ? 2 : 1
}

export function writeFailure(terminal: Terminal, json: boolean, error: unknown): void {
  const failure = failureOf(error)
  if (json) terminal.out(`${JSON.stringify({ error: failure })}\n`)
  else terminal.error(legible(`upstart: ${failure.name}: ${failure.message}\n`))
}

/** Makes `run` the action of a command; its answer is written in the form asked for. */
export function answering<Options extends object>(
  command: Command,
  terminal: Terminal,
  run: (options: Options & Global, args: string[]) => Promise<Answer>
): Command {
  return command.action(async (..._unused: unknown[]) => {
    const options = command.optsWithGlobals<Options & Global>()
    const { json, text, failed } = await run(options, command.args)
    terminal.progress?.('')
    terminal.out(options.json ? `${JSON.stringify(json)}\n` : legible(`${text}\n`))
    if (failed === true) throw new BadNews()
  })
}
