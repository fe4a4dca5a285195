/**
 * How a hosted process is started: plainly, or confined by bubblewrap (SPEC H9). Inside bubblewrap it has no network, sees
 * this program, the verified code and the system's libraries read-only, and may write its state and working directory; what
 * its entry needs beside that and the operator allows, it has, too (H11).
 */
import { accessSync, constants, existsSync, realpathSync } from 'node:fs'
import { delimiter, dirname, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Refusal } from '../../src/errors.ts'

/** What a confined process reaches. */
export interface Reach {
  readable: string[]
  writable: string[]
  network: boolean
}
export interface Confinement extends Reach {
  workDirectory: string
}
export interface CommandLine {
  command: string
  args: string[]
  /** The started process is the confiner, the hosted one its child. */
  confined: boolean
}

/** H6: a signal would open a debugger, and with it all that the process holds, to every user of the host's loopback. */
const NO_DEBUGGER = '--disable-sigusr1'
const NODE_FLAGS = process.allowedNodeEnvironmentFlags.has(NO_DEBUGGER) ? [NO_DEBUGGER] : []

const main = fileURLToPath(new URL(`./main${extname(import.meta.url)}`, import.meta.url))
/** By which names are resolved. */
const NAMES = ['/etc/resolv.conf', '/etc/hosts', '/etc/nsswitch.conf', '/etc/gai.conf']
/** What node itself needs, where it exists. */
const SYSTEM = ['/usr', '/lib', '/lib64', '/bin', '/etc/ssl', '/etc/localtime']

export function commandLine(sandbox: 'none' | 'bwrap' | 'auto', confinement: Confinement, args: string[]): CommandLine {
  const bwrap = sandbox === 'none' ? null : bubblewrap()
  if (bwrap === null) {
    if (sandbox === 'bwrap')
      throw new Refusal('Usage', 'bubblewrap (bwrap) is not on the PATH; install it, or use sandbox none')
    return { command: process.execPath, args: [...NODE_FLAGS, main, ...args], confined: false }
  }
  const bind = (how: string, paths: string[]) =>
    [...new Set(paths)].filter((path) => existsSync(path)).flatMap((path) => [how, path, path])
  const flags = [
    ...[
      '--unshare-all',
      ...(confinement.network ? ['--share-net'] : []),
      '--die-with-parent',
      '--proc',
      '/proc',
      '--dev',
      '/dev',
      '--tmpfs',
      '/tmp'
    ],
    ...bind('--ro-bind', [...SYSTEM, process.execPath, realpathSync(process.execPath), ...programDirectories()]),
    ...bind('--ro-bind', [...confinement.readable, ...(confinement.network ? NAMES : [])]),
    ...bind('--bind', [...confinement.writable, confinement.workDirectory]),
    ...['--chdir', confinement.workDirectory, '--']
  ]
  return { command: bwrap, args: [...flags, process.execPath, ...NODE_FLAGS, main, ...args], confined: true }
}

/** Path of bubblewrap, or null where it is not installed. */
export function bubblewrap(): string | null {
  if (process.platform !== 'linux') return null
  for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
    const file = join(directory, 'bwrap')
    try {
      accessSync(file, constants.X_OK)
      return file
    } catch (error) {
      if ((error as { code?: string }).code === 'ENOENT') continue
      if ((error as { code?: string }).code === 'EACCES' || (error as { code?: string }).code === 'ENOTDIR') continue
      throw error
    }
  }
  return null
}

/** This program and the packages it imports. */
function programDirectories(): string[] {
  const directories: string[] = []
  for (let directory = dirname(main); directory !== dirname(directory); directory = dirname(directory)) {
    if (existsSync(join(directory, 'node_modules'))) directories.push(join(directory, 'node_modules'))
    if (existsSync(join(directory, 'package.json'))) {
      directories.push(
        join(directory, 'package.json'),
        join(directory, 'src'),
        join(directory, 'node'),
        join(directory, 'dist')
      )
    }
  }
  return directories
}
