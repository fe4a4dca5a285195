/**
 * Mocha's own `spec` report, and as JSON, in the file that the reporter option `outcome` names, the totals, the failures
 * as `spec` tells them, and what took longest. A run that leaves something open would wait for ever: it is ended after a
 * grace, and fails with the names of what was open.
 */
import { writeFileSync } from 'node:fs'
import { format } from 'node:util'
import Mocha from 'mocha'

export interface Totals {
  passed: number
  failed: number
  skipped: number
}

export interface Outcome extends Totals {
  /** One text for a person, empty if nothing failed. */
  failures: string
}

const GRACE_MS = 10_000
const { Base, Spec } = Mocha.reporters

export default class OutcomeReporter extends Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options)
    const file = String(options.reporterOptions?.outcome)
    runner.once(Mocha.Runner.constants.EVENT_RUN_END, () => {
      const { passes, failures, pending } = this.stats
      const outcome: Outcome = { passed: passes, failed: failures, skipped: pending, failures: told(this.failures) }
      writeFileSync(file, JSON.stringify(outcome))
      setTimeout(() => {
        console.log(`the tests left open: ${process.getActiveResourcesInfo().join(', ')}`)
        process.exit(1)
      }, GRACE_MS).unref()
    })
  }
}

/** What `spec` prints of failed tests at its end. */
function told(failures: Mocha.Test[]): string {
  if (failures.length === 0) return ''
  const { consoleLog } = Base
  let text = ''
  try {
    Base.consoleLog = (...parts) => {
      text += `${format(...parts)}\n`
    }
    Base.list(failures)
  } finally {
    Base.consoleLog = consoleLog
  }
  return text
}
