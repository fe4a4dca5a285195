/**
 * Mocha's own `spec` report, and the totals as JSON in the file that the reporter option `totals` names. A run that
 * leaves something open would wait for ever: it is ended after a grace, and fails with the names of what was open.
 */
import { writeFileSync } from 'node:fs'
import Mocha from 'mocha'

export interface Totals {
  passed: number
  failed: number
  skipped: number
}

const GRACE_MS = 10_000

export default class TotalsReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options)
    const file = String(options.reporterOptions?.totals)
    runner.once(Mocha.Runner.constants.EVENT_RUN_END, () => {
      const totals: Totals = { passed: this.stats.passes, failed: this.stats.failures, skipped: this.stats.pending }
      writeFileSync(file, JSON.stringify(totals))
      setTimeout(() => {
        console.log(`the tests left open: ${process.getActiveResourcesInfo().join(', ')}`)
        process.exit(1)
      }, GRACE_MS).unref()
    })
  }
}
