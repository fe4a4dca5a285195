// Plain JavaScript that every node with modules can parse, so that an old one says in one line what it lacks.
import { existsSync } from 'node:fs'

/**
 * Runs a program of this package: its sources in a checkout, its build in an installed package.
 *
 * @param {string} name how the user called it
 * @param {string} program path under node/, without extension
 */
export function start(name, program) {
  if (Number(process.versions.node.split('.')[0]) < 24) {
    console.error(name + ': node 24 or newer is needed, this is ' + process.version + ' (' + process.execPath + ')')
    process.exitCode = 1
    return
  }
  const source = new URL('../' + program + '.ts', import.meta.url)
  const build = new URL('../../dist/node/' + program + '.js', import.meta.url)
  import((existsSync(source) ? source : build).href)
}
