/** Facts of a peer that knows nothing of others: tests say what they need. */
import assert from 'node:assert/strict'
import type { ConstraintFacts } from '../../../src/schedule/constraints.ts'

export const NOON = Date.parse('2026-11-23T12:00:00Z')

export const CONSTRAINT_FACTS: ConstraintFacts = {
  approved: false,
  others: () => assert.fail('no condition here looks at others'),
  now: NOON,
  labels: {},
  place: () => 0.5,
  draw: () => 0.5,
  opinion: () => assert.fail('no condition here is of code'),
  clockDoubt: () => undefined,
  isQuiet: () => undefined,
  locks: [],
  classes: () => [],
  evidence: () => [],
  fellows: () => undefined
}
