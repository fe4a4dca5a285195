/** A run in words, for people. */
import type { Outcome } from './outcome.ts'

export function sentenceOf(outcome: Outcome): string {
  const { seed, commit, peers, events, wallMs, upgraded, availability, violations, stuck, overlay } = outcome
  const variant = Object.entries(outcome.variant)
    .map(([key, value]) => `${key}=${value} `)
    .join('')
  const end = outcome.converged ? `converged after ${(outcome.endedAtMs / 1000).toFixed(0)} s` : 'stuck'
  const calls =
    availability.calls === 0
      ? ''
      : `; ${availability.calls} calls, ${availability.failed} failed, ${availability.disallowed} disallowed`
  const { components, oneSided, neighbours, known } = overlay
  return [
    `${variant}seed ${seed}: ${outcome.summary || `${peers} peers`}; ${end}; upgraded p50 ${upgraded.p50} ms, max ${upgraded.max} ms; ` +
      `at most ${availability.groupDownMax} of a group down${calls}; ${outcome.messages.sent} messages; ${events} events in ${wallMs} ms; trace ${outcome.trace}`,
    `  overlay: ${components} part${components === 1 ? '' : 's'}, ${oneSided} one-sided; neighbours ${neighbours.least} to ${neighbours.most} (mean ${neighbours.mean}); known to ${known.least} to ${known.most} passive sets (mean ${known.mean}, deviation ${known.deviation})`,
    ...violations.flatMap((one) => [
      `  VIOLATION ${one.rule} seed ${seed} commit ${commit} at ${one.atMs.toFixed(1)} ms, ${one.peer}: ${one.text}`,
      ...one.history.map((line) => `    ${line}`)
    ]),
    ...stuck.first.map(({ peer, why }) => `  STUCK ${peer}: ${why}`),
    ''
  ].join('\n')
}
