/** The release of this program, from its package. */
import { readFileSync } from 'node:fs'

function find(): string {
  // In the repository this file lies two folders below package.json, in the built package three.
  for (const up of ['../../package.json', '../../../package.json']) {
    try {
      const found = JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8')) as {
        name?: string
        version?: string
      }
      if (found.name === 'upstart-peer' && found.version !== undefined) return found.version
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  return 'unknown'
}

export const RELEASE = find()
