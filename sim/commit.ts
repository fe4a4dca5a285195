/** The commit of the checkout that runs; what failed at it fails again at it. */
import { execFileSync } from 'node:child_process'

/** An installed package lies in no repository, and a failure still names its seed. */
export function commitOf(): string {
  try {
    const git = ['rev-parse', '--short', 'HEAD']
    const text = execFileSync('git', git, {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore']
    })
    return text.trim()
  } catch (error) {
    return error instanceof Error && 'status' in error ? 'none' : 'no git'
  }
}
