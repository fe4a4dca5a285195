/** Mocha's own `spec` report, and the totals as JSON in the file that the reporter option `totals` names. */
import { writeFileSync } from 'node:fs'
import Mocha from 'mocha'

export interface Totals {
  passed: number
  failed: number
  skipped: number
}

export default class TotalsReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options)
    const file = String(options.reporterOptions?.totals)
    runner.once(Mocha.Runner.constants.EVENT_RUN_END, () => {
      const totals: Totals = { passed: this.stats.passes, failed: this.stats.failures, skipped: this.stats.pending }
      writeFileSync(file, JSON.stringify(totals))
    })
  }
}
