/**
 * Where the passphrase of an encrypted key comes from (SPEC C21): a file, the environment, or a person at a terminal. Never
 * the command line, which every user of a host can read.
 */
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { Refusal } from '../src/errors.ts'
import { unreadable } from './obstacles.ts'

const MIN_LENGTH = 8
const MAX_LENGTH = 1024

let taken: string | undefined

/** Takes the passphrase out of the environment: programs that are started from here do not inherit it. */
export function takePassphrase(environment: NodeJS.ProcessEnv = process.env): void {
  taken = environment['UPSTART_PASSPHRASE'] ?? taken
  delete environment['UPSTART_PASSPHRASE']
}

/** @param what the key file, as the question names it */
export async function readPassphrase(what: string, isNew = false): Promise<string> {
  takePassphrase()
  const file = process.env['UPSTART_PASSPHRASE_FILE']
  if (file !== undefined) {
    const text = await readFile(file, 'utf8').catch(unreadable(file, 'UPSTART_PASSPHRASE_FILE names it'))
    return checked(text.replace(/\r?\n$/, ''), isNew, file)
  }
  if (taken !== undefined) return checked(taken, isNew, 'UPSTART_PASSPHRASE')
  if (!process.stdin.isTTY) {
    const text = `${what} is encrypted, and nobody can be asked for its passphrase: run this in a terminal, or set UPSTART_PASSPHRASE_FILE (or UPSTART_PASSPHRASE)`
    throw new Refusal('Usage', text)
  }
  const passphrase = checked(await ask(`passphrase of ${what}: `), isNew, 'the passphrase')
  if (isNew && (await ask('once more: ')) !== passphrase)
    throw new Refusal('Usage', 'the two passphrases differ; nothing was written, try again')
  return passphrase
}

function checked(passphrase: string, isNew: boolean, where: string): string {
  if (passphrase.length > MAX_LENGTH || (isNew && passphrase.length < MIN_LENGTH))
    throw new Refusal(
      'Usage',
      `${where}: a passphrase has ${MIN_LENGTH} to ${MAX_LENGTH} characters; choose another one`
    )
  return passphrase
}

/** What is typed is not shown. */
async function ask(question: string): Promise<string> {
  process.stderr.write(question)
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const terminal = createInterface({ input: process.stdin, output: silent, terminal: true })
  const interrupted = new AbortController()
  terminal.on('SIGINT', () => interrupted.abort())
  try {
    return await terminal.question('', { signal: interrupted.signal })
  } catch (cause) {
    throw new Refusal('Usage', 'no passphrase was given; nothing was written', { cause })
  } finally {
    terminal.close()
    process.stderr.write('\n')
  }
}
