/** Runs seeds until one of them breaks a rule (SPEC M48): `node sim/swarm/first.ts SEED COUNT` prints what was found. */
import { drawFaults } from '../faults.ts'
import { run } from '../simulator.ts'

export interface Found {
  /** Seeds run, the one that found it included. */
  seeds: number
  seed: number
  rule: string
  text: string
}

const [seed = 1, count = 1] = process.argv.slice(2).map(Number)
let found: Found | null = null
for (let tried = 0; tried < count && found === null; tried++) {
  // What a defect does to one seed may cost what thousands do else: alike and endless events end with the rule they break.
  const { scenario } = drawFaults(seed + tried)
  const [first] = run({ ...scenario, history: 0 }).violations
  if (first !== undefined) found = { seeds: tried + 1, seed: seed + tried, rule: first.rule, text: first.text }
}
console.log(JSON.stringify(found))
