/** `upstart pack`: from an author's directory to an upgrade file (SPEC C5). */
import type { Command } from 'commander'
import type { Envelope } from '../../src/upgrade/entry.ts'
import type { Manifest } from '../../src/upgrade/manifest.ts'
import { openUpgradeFile } from '../pack/file.ts'
import { pack } from '../pack/pack.ts'
import { type Answer, answering, type Terminal } from './command.ts'
import { expiry, outOption, readSigners, readTrust, rootOption, several, signOption } from './options.ts'

interface PackCommandOptions {
  root: string
  parent?: string[]
  rival?: string[]
  expires: string
  sign?: string[]
  out?: string
}

async function readParent(path: string): Promise<Envelope<Manifest>> {
  const file = await openUpgradeFile(path)
  await file.close()
  return file.envelope
}

async function packCommand(source: string, options: PackCommandOptions): Promise<Answer> {
  const trust = await readTrust(options.root)
  const parents = await Promise.all((options.parent ?? []).map(readParent))
  parents.sort((a, b) => a.content.version - b.content.version)
  const version = (parents.at(-1)?.content.version ?? 0) + 1
  const signers = await readSigners(options.sign)
  const packed = await pack({
    source,
    fleet: trust.fleet,
    parents,
    rivals: await Promise.all((options.rival ?? []).map(readParent)),
    expiresMs: expiry(options.expires, Date.now()),
    out: options.out ?? `v${version}.upgrade`,
    signers
  })
  const { path, hash, manifest, warnings } = packed
  const classes = manifest.classes.map(({ from, to }) =>
    from === null ? `${to} (new)` : from === to ? to : `${from} → ${to}`
  )
  const lines = [
    `${path}: version ${manifest.version}, ${classes.join(', ')}; bundle of ${manifest.bundle.length} bytes; entry ${hash}`
  ]
  for (const warning of warnings) lines.push(`note: ${warning}`)
  if (signers.length === 0) lines.push(`next: upstart sign ${path} --key KEYFILE`)
  return {
    json: {
      path,
      version: manifest.version,
      hash,
      parent: manifest.parent,
      classes: manifest.classes.map(({ from, to }) => ({ from, to })),
      bundle: { length: manifest.bundle.length, pieces: manifest.bundle.pieces.length, sha256: manifest.bundle.sha256 },
      signatures: signers.length,
      warnings
    },
    text: lines.join('\n')
  }
}

export function upgradeCommands(program: Command, terminal: Terminal): void {
  answering<PackCommandOptions>(
    program
      .command('pack')
      .description('bundle an upgrade: the directory of upgrade.ts, or the file itself')
      .argument('<source>')
      .addOption(rootOption())
      .option('--parent <file>', 'upgrade file of the version before (with older ones if it lacks a class)', several)
      .option('--rival <file>', 'upgrade file on another branch of a fork, which this one replaces', several)
      .option('--expires <time>', 'until when it may first be injected', '30d')
      .addOption(signOption())
      .addOption(outOption('the upgrade file to write (default: vN.upgrade)')),
    terminal,
    (options, [source]) => packCommand(source!, options)
  )
}
